#pragma once
// Parses the config file: KEY=value lines. A key may have the PGFOREMAN_ prefix, so that a file of
// environment variables is a valid config file. Blanks around key and value are ignored. A line
// that starts with # is a comment; a later # and quotes are part of the value.

#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

struct ConfigLine {
  int number = 0;     ///< counted from 1
  std::string key;    ///< without the prefix
  std::string value;  ///< an empty value counts as not set
};

struct ConfigFile {
  std::vector<ConfigLine> lines;
  std::vector<std::string> errors;  ///< "PATH:3: ..."; never contain a part of a value
};

/// Parses `text`; `path` is only for errors. Reports keys that are malformed or given twice, but
/// not unknown keys.
ConfigFile parse_config_file(std::string_view text, const std::string& path);

/// Reads and parses `path`; an unreadable file is reported in `errors`.
ConfigFile read_config_file(const std::string& path);

}  // namespace pgforeman
