#pragma once
// The messages that the database refused to change, as a trigger may: they are left out for 2 s,
// and each time for longer, up to a minute, so that others seldom pay for them. Fork: after.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fleet/duty_board.h"
#include "system/clock.h"

namespace pgforeman {

class Refusals {
 public:
  Refusals(DutyBoard& board, Duty duty) : board_(board), duty_(duty) {}

  /// Logs and counts messages that were refused; remembers a thousand of them.
  void add(const std::vector<std::int64_t>& ids, const std::string& reason, TimePoint now);
  /// Leaves out one that was refused elsewhere; returns for how long.
  Millis leave_out(std::int64_t id, TimePoint now);
  /// True if some are to be tried again.
  bool expire(TimePoint now);
  /// Those that are left out.
  std::vector<std::int64_t> current() const;

 private:
  DutyBoard& board_;
  Duty duty_;
  struct Message {
    Millis wait;      ///< how long it is left out
    TimePoint until;  ///< a minute later it is forgotten
    bool left_out;
  };
  std::map<std::int64_t, Message> messages_;
};

}  // namespace pgforeman
