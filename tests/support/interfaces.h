#pragma once
// Reads the lists of docs/interfaces.md and compares them with the program's real interfaces.

#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace pgforeman::test {

/// Returns the lines of the code block under "## `heading`"; empty if there is none.
inline std::set<std::string> listed(const std::string& page, const std::string& heading) {
  std::ifstream file(page);
  std::set<std::string> found;
  bool under = false, inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("## ", 0) == 0) under = line == "## " + heading;
    if (under && line == "```") {
      inside = !inside;
    } else if (under && inside) {
      found.insert(line);
    }
  }
  return found;
}

/// Returns a line for each entry that is in only one of both sets; "" if they are equal.
inline std::string difference(const std::set<std::string>& listed,
                              const std::set<std::string>& real) {
  std::ostringstream text;
  for (const std::string& line : real) {
    if (listed.count(line) == 0) text << "not in docs/interfaces.md: " << line << "\n";
  }
  for (const std::string& line : listed) {
    if (real.count(line) == 0) text << "only in docs/interfaces.md: " << line << "\n";
  }
  return text.str();
}

}  // namespace pgforeman::test
