#pragma once
// The messages that the database refused to let consumers claim: they tell maintenance, whose
// sweeps would make such a message claimable again at once. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace pgforeman {

/// In shared memory. Writers: consumers, relaxed.
class RefusedClaims {
 public:
  /// One too many is forgotten: it is tried again sooner.
  void add(std::int64_t id) {
    for (auto& each : ids_) {
      std::int64_t none = 0;
      if (each.compare_exchange_strong(none, id, std::memory_order_relaxed)) return;
    }
  }
  /// Takes them out. For maintenance.
  std::vector<std::int64_t> take() {
    std::vector<std::int64_t> ids;
    for (auto& each : ids_) {
      if (each.load(std::memory_order_relaxed) == 0) continue;
      ids.push_back(each.exchange(0, std::memory_order_relaxed));
    }
    return ids;
  }

 private:
  std::array<std::atomic<std::int64_t>, 64> ids_;
};

}  // namespace pgforeman
