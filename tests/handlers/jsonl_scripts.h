#pragma once
// Small jsonl handlers in shell.

#include <string>
#include <vector>

#include "handlers/consumer_loop.h"

namespace pgforeman::test {

/// Answers the current message.
inline constexpr const char* kDone = R"(echo "{\"id\":$id,\"status\":\"done\"}")";

/// Runs `body` for each message, with its id in $id.
inline std::vector<std::string> answering(const std::string& body) {
  return shell("while read -r line; do id=${line#*:}; id=${id%%,*}; " + body + "\ndone");
}

/// `script` inside single quotes.
inline std::string quoted_for_trap(const std::string& script) {
  std::string quoted;
  for (const char c : script) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted;
}

}  // namespace pgforeman::test
