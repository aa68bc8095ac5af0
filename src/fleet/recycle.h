#pragma once
// Recycling: a child that reached MAX_MESSAGES or MAX_MEMORY writes that into its slot and ends as
// in a drain; the supervisor forks a new child. Written by the child, read by the supervisor.

#include <cstdint>
#include <optional>
#include <string>

#include "text/quantity.h"

namespace pgforeman {

/// The limit that a child reached, and the value that reached it.
struct ReachedLimit {
  enum class Option : std::uint8_t { none, messages, memory };
  Option option = Option::none;
  std::int64_t value = 0;  ///< messages handled, or bytes

  /// Packs option (top byte) and value into one word, so that a reading is never torn.
  std::uint64_t word() const {
    return static_cast<std::uint64_t>(option) << 56U | (static_cast<std::uint64_t>(value) & kValue);
  }
  /// Unpacks such a word; nothing if it is 0 or invalid.
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

/// Returns after how many messages the child of `slot` is recycled: MAX_MESSAGES minus up to a
/// tenth. With one limit for all, children that were forked together would be recycled together.
/// The golden ratio spreads the limits of any number of neighbouring slots evenly. Each limit
/// depends only on the slot.
inline std::int64_t message_limit(int max_messages, int slot) {
  const std::int64_t tenth = max_messages / 10;
  const std::uint64_t golden = static_cast<std::uint64_t>(slot) * 0x9e3779b9U & 0xffffffffU;
  return max_messages -
         static_cast<std::int64_t>(golden * static_cast<std::uint64_t>(tenth + 1) >> 32U);
}

}  // namespace pgforeman
