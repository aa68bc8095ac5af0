#pragma once
// The messages that the database refused to change, as a trigger may. A duty leaves them out for 2
// s, as each try slows the others; those at fault after each further refusal for twice as long, at
// most for a minute. Fork: after.

#include <cstdint>
#include <map>
#include <vector>

#include "maintenance/tools.h"
#include "system/clock.h"

namespace pgforeman {

class Refusals {
 public:
  Refusals(const MaintenanceTools& tools, Duty duty) : tools_(tools), duty_(duty) {}

  /// Leaves refused messages out, and logs and counts them. If they are not at fault, reports that
  /// the duty fails.
  void add(const Refused& refused, TimePoint now);
  /// Leaves out a message that a consumer could not claim, which the consumer has logged.
  void add_claim(std::int64_t id, bool blamed, TimePoint now) { leave_out(id, blamed, now); }
  /// True if some are to be tried again.
  bool expire(TimePoint now);
  /// Those that are left out.
  std::vector<std::int64_t> current() const;
  /// True if a message is left out that is not at fault: the server may be.
  bool any_without_fault() const;
  /// True if a thousand messages are left out: more are not remembered.
  bool is_full() const { return messages_.size() >= kMost; }

 private:
  static constexpr std::size_t kMost = 1000;

  struct Message {
    Millis wait;      ///< how long it is left out
    TimePoint until;  ///< a minute later it is forgotten
    bool left_out, blamed;
  };

  Millis leave_out(std::int64_t id, bool blamed, TimePoint now);

  const MaintenanceTools& tools_;
  Duty duty_;
  std::map<std::int64_t, Message> messages_;
};

}  // namespace pgforeman
