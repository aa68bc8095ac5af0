#pragma once
// The fleet's wake-ups, and how new messages become known. A wake-up is the permission for one idle
// consumer to claim. Wake-ups are a shared counter: an idle consumer decrements it to take one; a
// consumer that is about to sleep checks it first, so none is lost.
//
// Shared memory: anything may stand there. Times are monotonic. All words are sequentially
// consistent. A consumer writes its phase and then reads `calls_when_idle` and the counter;
// maintenance does it the other way round: neither misses the other. Fork: after.

#include <atomic>
#include <cstdint>

#include "system/clock.h"

namespace pgforeman {

class WakeupBoard {
 public:
  // All processes (compare-and-swap).
  /// Consumer: takes a wake-up, after it wrote phase `waiting`. False if there is none.
  [[nodiscard]] bool take();
  void add_one() { pending_.fetch_add(1); }
  /// Afterwards at least `needed` are there.
  void raise(std::uint32_t needed);
  std::uint32_t pending() const { return pending_.load(); }

  // Maintenance writes.
  /// Maintenance gets notifications of new messages, or polls for the fleet.
  void record_listening(TimePoint now) { listening_at_ms_.store(to_ms(now)); }
  /// True if maintenance recorded that in the last 3 s.
  bool listens(TimePoint now) const;
  /// Whether a consumer that becomes idle wakes maintenance.
  void set_calls_when_idle(bool calls) { calls_when_idle_.store(calls ? 1 : 0); }
  bool calls_when_idle() const { return calls_when_idle_.load() != 0; }
  /// Whether maintenance polls for messages each 2 to 6 ms.
  void set_maintenance_polls(bool polls) { polls_.store(polls ? 1 : 0); }
  bool maintenance_polls() const { return polls_.load() != 0; }

  // Consumers write.
  /// An idle consumer polls for all of them.
  void record_poll(TimePoint now) { polled_at_ms_.store(to_ms(now)); }
  TimePoint last_poll() const { return from_ms(polled_at_ms_.load()); }

 private:
  std::atomic<std::uint32_t> pending_;
  std::atomic<std::int64_t> listening_at_ms_;  ///< 0: never
  std::atomic<std::uint32_t> calls_when_idle_, polls_;
  std::atomic<std::int64_t> polled_at_ms_;  ///< 0: never
};

}  // namespace pgforeman
