#pragma once
// The config file: KEY=value lines. A key may have the PGFOREMAN_ prefix, so that a file of
// environment variables is a valid config file. Blanks around key and value do not count; a line
// that starts with # is a comment, a # further on is part of the value; nothing is quoted.

#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

struct ConfigLine {
  int number = 0;     ///< counted from 1
  std::string key;    ///< without the prefix
  std::string value;  ///< may be empty: as if the line were not there
};

struct ConfigFile {
  std::vector<ConfigLine> lines;
  std::vector<std::string> errors;  ///< "PATH:3: ..."; never with a part of a value
};

/// Parses the text of the file `path` (only named in errors). Keys are checked for their form and
/// for being given once, not for being known.
ConfigFile parse_config_file(std::string_view text, const std::string& path);

/// Reads and parses `path`; what cannot be read is an error like any other.
ConfigFile read_config_file(const std::string& path);

}  // namespace pgforeman
