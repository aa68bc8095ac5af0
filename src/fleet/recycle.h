#pragma once
// Recycling: a child that handled or holds enough says so in its slot and ends as in a drain; the
// supervisor forks the next one. Written by the child, read by the supervisor.

#include <cstdint>
#include <optional>
#include <string>

#include "text/quantity.h"

namespace pgforeman {

/// Which limit a child reached, and with how much.
struct ReachedLimit {
  enum class Option : std::uint8_t { none, messages, memory };
  Option option = Option::none;
  std::int64_t value = 0;  ///< messages handled, or bytes

  /// One word, so that a reading is never torn: the option in the top byte, the value below.
  std::uint64_t word() const {
    return static_cast<std::uint64_t>(option) << 56U | (static_cast<std::uint64_t>(value) & kValue);
  }
  /// Nothing for 0 and for garbage.
  static std::optional<ReachedLimit> from(std::uint64_t word) {
    const auto option = static_cast<Option>(word >> 56U);
    if (option != Option::messages && option != Option::memory) return std::nullopt;
    return ReachedLimit{option, static_cast<std::int64_t>(word & kValue)};
  }
  std::string explain() const {
    return option == Option::messages
               ? "MAX_MESSAGES: handled " + std::to_string(value)
               : "MAX_MEMORY: " + std::to_string(value >> 20U) + "MiB resident";
  }

 private:
  static constexpr std::uint64_t kValue = (std::uint64_t{1} << 56U) - 1;
};

/// After how many messages the child of `slot` has handled enough: MAX_MESSAGES less up to a tenth.
/// Children that were forked together and are served alike would else all reach it together. The
/// parts of a tenth follow the golden ratio, which spreads any number of neighbours evenly. The
/// limit depends on the slot alone.
inline std::int64_t message_limit(int max_messages, int slot) {
  const std::int64_t tenth = max_messages / 10;
  const std::uint64_t golden = static_cast<std::uint64_t>(slot) * 0x9e3779b9U & 0xffffffffU;
  return max_messages -
         static_cast<std::int64_t>(golden * static_cast<std::uint64_t>(tenth + 1) >> 32U);
}

}  // namespace pgforeman
