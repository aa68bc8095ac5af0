#include "commands/ask_fleet.h"

#include <fmt/format.h>

#include "commands/text_table.h"
#include "text/quantity.h"

namespace pgforeman {

Millis read_timeout(const CommandWords& words) {
  constexpr Millis kLeast{1}, kMost{600'000};
  const auto text = words.value("timeout");
  if (!text) return Millis{2000};
  const auto timeout = parse_duration(*text);
  if (timeout && *timeout.value >= kLeast && *timeout.value <= kMost) return *timeout.value;
  throw WrongUsage(fmt::format("--timeout '{}' {}; allowed is a duration from {} to {}, such as 2s",
                               printable(*text), timeout ? "is out of range" : timeout.problem,
                               format_duration(kLeast), format_duration(kMost)));
}

HttpAnswer ask_endpoint(const Options& options, const std::string& target, Millis timeout) {
  return http_get(connectable_addresses(options.health_address),
                  static_cast<std::uint16_t>(options.health_port), target, timeout);
}

}  // namespace pgforeman
