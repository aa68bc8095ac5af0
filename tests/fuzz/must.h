#pragma once
// What a fuzzer asserts: also in an optimised build, and with a core for the debugger.

#include <cstdio>
#include <cstdlib>

namespace pgforeman::test {

inline void must(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

}  // namespace pgforeman::test
