#pragma once
// Finds a library that, if preloaded, gives a program its own wall clock.

#include <filesystem>
#include <stdexcept>
#include <string>

namespace pgforeman::test {

/// Returns the path of Debian's libfaketime. Throws std::runtime_error if it is not installed.
inline std::string faketime_library() {
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib")) {
    const auto library = entry.path() / "faketime/libfaketime.so.1";
    if (std::filesystem::exists(library)) return library.string();
  }
  throw std::runtime_error("libfaketime is not installed");
}

}  // namespace pgforeman::test
