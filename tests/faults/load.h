#pragma once
// Sends: a thread with a session of its own that writes down what the database acknowledged.

#include <atomic>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "faults/dice.h"

namespace pgforeman::test {

class Load {
 public:
  /// `rate`: messages a second; no more are sent while so many wait that the fleets cannot follow.
  /// The session is opened anew whenever it is lost.
  Load(std::string conninfo, double rate, std::uint64_t seed);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Sends no more; returns what was acknowledged, by the numbers ("n") in the payloads. What was
  /// under way may have been committed too.
  std::set<std::int64_t> finish();
  std::size_t sent() const;

 private:
  void run(double rate);
  std::string payloads(std::int64_t first, int count);

  std::string conninfo_;
  Dice dice_;
  mutable std::mutex mutex_;
  std::set<std::int64_t> sent_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace pgforeman::test
