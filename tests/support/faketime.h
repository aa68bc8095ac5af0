#pragma once
// A wall clock of its own for a program: to preload.

#include <filesystem>
#include <stdexcept>
#include <string>

namespace pgforeman::test {

/// Debian's libfaketime, wherever this architecture has it. Throws std::runtime_error.
inline std::string faketime_library() {
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib")) {
    const auto library = entry.path() / "faketime/libfaketime.so.1";
    if (std::filesystem::exists(library)) return library.string();
  }
  throw std::runtime_error("libfaketime is not installed");
}

}  // namespace pgforeman::test
