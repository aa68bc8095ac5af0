#pragma once
// Sends messages from a thread with its own session, and records which were acknowledged.

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
  /// Sends `rate` messages a second, but pauses while so many wait that the fleets cannot keep up.
  /// Opens a new session whenever the session is lost.
  Load(std::string conninfo, double rate, std::uint64_t seed);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  /// Stops sending. Returns the acknowledged messages by the number ("n") in their payloads. A send
  /// without an answer may have been committed too.
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
