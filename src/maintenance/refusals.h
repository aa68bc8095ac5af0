#pragma once
// The messages that the database refused to change, as a trigger may. A duty leaves them out for 2
// s, after each further refusal for twice as long, at most for a minute, as each try slows the
// others. Fork: after.

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

  /// Logs, counts and leaves out messages that were refused; remembers a thousand of them.
  void add(const std::vector<std::int64_t>& ids, const std::string& reason, TimePoint now);
  /// Leaves a message out; returns for how long. By itself for one that a consumer could not claim.
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
