#pragma once
// Counts the messages that the database refused to change. Writers: consumers and maintenance; read
// by the supervisor for the endpoint. Fork: after.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgforeman {

/// What the database refuses of messages, as a trigger may.
enum class RefusedChange : std::uint8_t { claim, settle, renew, sweep, promote };
inline constexpr std::size_t kRefusedChanges = 5;

constexpr std::string_view to_string(RefusedChange call) {
  constexpr std::array<std::string_view, kRefusedChanges> kNames = {"claim", "settle", "renew",
                                                                    "sweep", "promote"};
  return kNames[static_cast<std::size_t>(call)];
}

/// Counts messages that were refused and are at fault, again after each try. In shared memory;
/// relaxed.
class RefusedCounts {
 public:
  void add(RefusedChange call, std::size_t messages) {
    of(call).fetch_add(messages, std::memory_order_relaxed);
  }
  std::uint64_t read(RefusedChange call) const {
    return counts_[static_cast<std::size_t>(call)].load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t>& of(RefusedChange call) {
    return counts_[static_cast<std::size_t>(call)];
  }

  std::array<std::atomic<std::uint64_t>, kRefusedChanges> counts_;
};

}  // namespace pgforeman
