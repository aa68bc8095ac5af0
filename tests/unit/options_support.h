#pragma once
// What the tests of the options share: a folder that goes away, and loading from given sources.

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <vector>

#include "options/load.h"

namespace pgforeman::test {

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "pgforeman-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  /// Writes a file, with the folders above it; returns its path.
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
    return path.string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

using Words = std::vector<const char*>;

/// Loads with a valid handler, unless `environment` has another, and no variable of this process.
inline LoadResult load(Command command, const Words& args, Environment environment = {},
                       const std::vector<CommandFlag>& flags = {}) {
  if (value_in(environment, "PGFOREMAN_HANDLER").empty()) {
    environment.emplace_back("PGFOREMAN_HANDLER=/bin/cat");
  }
  LoadInput input;
  input.command = command;
  input.args = args;
  input.flags = flags;
  input.environment = std::move(environment);
  input.cpus = 3;
  return load_from(input);
}

/// All errors and warnings as one text.
inline std::string messages(const LoadResult& result) {
  std::string text;
  for (const auto& line : result.errors) text += line + "\n";
  for (const auto& line : result.warnings) text += line + "\n";
  return text;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace pgforeman::test
