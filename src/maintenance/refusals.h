#pragma once
// The messages that the database refused to change, as a trigger may: they are left out for a
// minute, so that others do not pay for them each time. Fork: after.

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
  /// Forgets those of more than a minute ago. True if there were any: they are to be tried again.
  bool expire(TimePoint now);
  std::vector<std::int64_t> current() const;

 private:
  DutyBoard& board_;
  Duty duty_;
  std::map<std::int64_t, TimePoint> until_;  ///< by message
};

}  // namespace pgforeman
