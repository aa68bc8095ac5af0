#pragma once
// Consumers write here which messages the database did not let them claim, so that maintenance's
// sweeps leave those out for a while. Fork: after.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

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

/// In shared memory. Consumers add, maintenance takes out; relaxed.
class RefusedClaims {
 public:
  struct Each {
    std::int64_t id = 0;
    bool blamed = false;  ///< as in Refused
  };
  /// False, and forgets the id, if all places are taken: sweeps then try that message sooner.
  bool add(std::int64_t id, bool blamed) {
    for (auto& word : words_) {
      std::int64_t none = 0;
      if (word.compare_exchange_strong(none, blamed ? id : -id, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  /// Takes them out. For maintenance.
  std::vector<Each> take() {
    std::vector<Each> taken;
    for (auto& word : words_) {
      if (word.load(std::memory_order_relaxed) == 0) continue;
      const std::int64_t id = word.exchange(0, std::memory_order_relaxed);
      taken.push_back({id < 0 ? -id : id, id > 0});
    }
    return taken;
  }

 private:
  std::array<std::atomic<std::int64_t>, 64> words_;  ///< an id; negative if it is not blamed
};

}  // namespace pgforeman
