#pragma once
// Where claims of a fleet begin. Claims that run at the same time and all begin at the marks try
// for the same rows. They walk over those that others have locked, and leave locks of their own on
// them, for which the settle of the others has to wait. So while there is plenty in a lane each
// claim reserves the next ids and begins above those that are reserved already.
//
// It leaves out nothing that it could have got: the first n messages above an id M have at least n
// ids, so a claim that takes n takes all up to M + n. If it fails, what it would have taken is
// below a mark, where maintenance finds it.
//
// Shared memory, written by consumers (compare-and-swap): anything may stand there. Fork: after.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <tuple>

#include "fleet/claimed_message.h"
#include "system/clock.h"

namespace pgforeman {

class ClaimCursors {
 public:
  /// For a claim of `wanted` messages. If a lane has plenty its priority is returned, and its mark
  /// in `marks` is raised to the last id that is reserved already.
  [[nodiscard]] std::optional<std::size_t> reserve(Marks& marks, int wanted, TimePoint now);
  /// A claim found all it wanted, in this lane alone: there is plenty.
  void found(std::size_t priority, TimePoint now);
  /// A claim that began at the marks got these. Adds the ids it took of reserved ones. Otherwise
  /// each claim takes the next one's ids for as long as the backlog lasts.
  void overlapped(std::span<const ClaimedMessage> messages);
  /// A claim did not find all it wanted: the next ones begin at the marks.
  void exhausted(std::size_t priority);

  /// Claims of many messages begin at the marks one at a time: the second then knows whether there
  /// is plenty. A turn that is not ended is over after some milliseconds.
  [[nodiscard]] bool take_turn(TimePoint now);
  void end_turn() { turn_until_ms_.store(0); }

 private:
  friend struct ClaimCursorsTest;
  struct Cursor {
    std::atomic<std::int64_t> from;          ///< reserved ids are above this
    std::atomic<std::int64_t> next_id;       ///< ids up to here are reserved; 0: none
    std::atomic<std::int64_t> plenty_at_ms;  ///< a claim found all it wanted; monotonic
  };
  std::array<Cursor, std::tuple_size_v<Marks>> cursors_;
  std::atomic<std::int64_t> turn_until_ms_;  ///< monotonic
};

}  // namespace pgforeman
