#pragma once
// Decides where each claim of a fleet begins. Simultaneous claims that all begin at the marks try
// for the same rows. They scan rows that others have locked, and leave locks on the new versions of
// these rows: the winner's settle waits for them. So while a lane has plenty of messages, each
// claim reserves the next numbers and begins above those that are already reserved.
//
// No message is skipped: the n-th message above a number M has at least M + n, so a claim of
// the first n messages above M takes every message up to M + n. If a claim fails, its messages are
// below a mark, where maintenance finds them.
//
// In shared memory, written by consumers (compare-and-swap); may hold any value. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "fleet/claimed_message.h"
#include "system/clock.h"

namespace pgforeman {

class ClaimCursors {
 public:
  /// Reserves numbers for a claim of `wanted` messages if a lane has plenty. Returns the lane's
  /// number, and raises its mark in `marks` to the last number that was already reserved.
  [[nodiscard]] std::optional<std::size_t> reserve(Marks& marks, int wanted, TimePoint now);
  /// Records that a claim found all it wanted in this lane alone: the lane has plenty.
  void record_plenty(std::size_t lane, TimePoint now);
  /// Moves cursors up by as many reserved numbers as a claim from the marks took. Otherwise each
  /// claim would take those reserved by the next one until the backlog ends.
  void advance_past(std::span<const ClaimedMessage> messages);
  /// Records that a claim found too little in its lane: later claims begin at the marks.
  void record_exhausted(std::size_t lane);

  /// True if the caller's claim may begin at the marks now. Claims of many messages do so one at a
  /// time: the second then knows if there is plenty. A turn that is not ended expires after 5 ms.
  [[nodiscard]] bool take_turn(TimePoint now);
  void end_turn() { turn_until_ms_.store(0); }

 private:
  friend struct ClaimCursorsTest;
  struct Cursor {
    std::atomic<std::int64_t> from;          ///< reserved numbers are above this
    std::atomic<std::int64_t> upto;          ///< numbers up to here are reserved; 0: none
    std::atomic<std::int64_t> plenty_at_ms;  ///< a claim found all it wanted; monotonic
  };
  std::array<Cursor, kLanes> cursors_;
  std::atomic<std::int64_t> turn_until_ms_;  ///< monotonic
};

}  // namespace pgforeman
