#pragma once
// Consumers write here which messages the database did not let them claim, so that maintenance's
// sweeps leave those out for a while. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace pgforeman {

/// In shared memory. Consumers add, maintenance takes out; relaxed.
class RefusedClaims {
 public:
  /// Forgets the id if all places are taken: sweeps then try that message sooner.
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
