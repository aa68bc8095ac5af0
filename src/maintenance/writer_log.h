#pragma once
// Knows where messages may still be committed. A sender draws a message's place (and a scheduled
// message's time) when it sends, and the message appears when its transaction commits: then claims
// may have passed that place. From one view of the open transactions to the next this finds places
// and times above which everything appears. Pure.

#include <cstdint>
#include <map>
#include <vector>

#include "queue/results.h"

namespace pgforeman {

class WriterLog {
 public:
  /// A transaction's messages have places with numbers above this one, and are due at this time or
  /// later (microseconds since the epoch; 0: any).
  struct Base {
    std::int64_t number = 0;
    std::int64_t due_us = 0;
  };

  struct News {
    Base first_seen;  ///< of those that this view shows first, or that ended unseen before it
    std::vector<Base> ended;  ///< of those that an earlier view showed
  };
  /// Takes the next view.
  News learn(const OpenWriters& view);
  /// The base of the transactions that the last view may have missed.
  Base unseen() const { return before_last_; }
  /// True after two views: unseen() is known.
  bool is_complete() const { return views_ >= 2; }
  /// True if a message may appear at or below this number, or due before this time.
  bool may_appear(std::int64_t number, std::int64_t due_us) const;
  /// Call after a step of the server's clock: later messages may be due at any time.
  void forget_times();
  void start_over() { *this = {}; }

 private:
  int views_ = 0;                      ///< at most 2
  Base last_, before_last_;            ///< what was drawn before those views
  std::map<std::int64_t, Base> open_;  ///< by the transaction's number
};

}  // namespace pgforeman
