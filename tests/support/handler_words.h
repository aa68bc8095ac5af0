#pragma once
// Helps handlers of tests to read their input without a JSON library.

#include <cstdlib>
#include <string>

namespace pgforeman::test {

/// Returns the value of the first `"key":` in `text`, without quotes; "" if absent.
inline std::string value_of(const std::string& text, const std::string& key) {
  auto at = text.find("\"" + key + "\":");
  if (at == std::string::npos) return "";
  at = text.find_first_not_of(" \"", at + key.size() + 3);
  return text.substr(at, text.find_first_of(",\"}", at) - at);
}

/// Returns an environment variable; "?" if it is not set.
inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "?";
}

}  // namespace pgforeman::test
