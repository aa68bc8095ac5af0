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
