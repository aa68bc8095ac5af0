#pragma once
// The duty that finds claimable messages below the low-water marks, where claims do not scan, and
// gives them a new place. A late commit, a lost host or a rolled-back claim leaves them there.
// LookPlan decides where to look, WriterLog where something may still be committed. Looks each 50
// ms while messages flow; when nothing may appear, each ten seconds. Fork: after.

#include "maintenance/look_plan.h"
#include "maintenance/refusals.h"
#include "maintenance/tools.h"
#include "maintenance/writer_log.h"

namespace pgforeman {

class Sweeper {
 public:
  explicit Sweeper(const MaintenanceTools& tools) : tools_(tools), refusals_(tools, Duty::sweep) {}

  /// Call for a new session: it may be to another server, which may have lost something.
  void start_over();
  /// Looks if it is time. False if messages were refused and are not at fault. Throws
  /// DatabaseError.
  bool run_once();
  TimePoint next() const;
  /// Call at the end of a fleet, so that the next one begins at its marks. Throws DatabaseError.
  void save_marks();
  /// The database was restored, or may have been: the next look searches all below the marks.
  void search_all_soon();
  /// A message was committed, perhaps below a mark or due already: makes a look due soon.
  void soon();

  /// Returns the marks above which counting begins, and how many leased messages are below them.
  const Marks& count_from() const { return plan_.marks(); }
  std::int64_t leased_below() const { return plan_.leased(); }

  /// Returns the time from which on scheduled messages are to be searched (microseconds since the
  /// epoch): those due before are gone. While a snapshot is held each of them costs a search 0.1
  /// us.
  std::int64_t due_from_us() const { return due_from_us_; }
  void search_all_due() { due_from_us_ = 0; }
  /// Call after a search from due_from_us() on that returned these times.
  void searched(const ServerTimes& times, TimePoint asked_at);

 private:
  void load_marks();
  void look(const Marks& marks, TimePoint now);
  void pass_over(const DatabaseError& error);
  void adjust_width(std::span<const PlaceRange> ranges, Clock::duration took, std::int64_t highest);
  void raise_marks(const OpenWriters& writers, bool is_slow, bool starts);
  bool trusts(const OpenWriters& writers, const Marks& marks);
  void check_clock(std::int64_t at_us, TimePoint asked_at);
  bool may_appear() const;

  const MaintenanceTools& tools_;
  Refusals refusals_;
  WriterLog writers_;
  LookPlan plan_{12};
  std::vector<PlaceRange> asked_;  ///< by a statement that was not answered
  std::int64_t width_ = 0;         ///< places of one statement
  bool loaded_ = false;            ///< the last fleet's marks
  bool failing_ = false;
  TimePoint looked_at_, next_;
  Millis wait_{0};  ///< between looks while the marks stand still
  TimePoint next_last_, next_pass_, next_view_;
  std::int64_t due_from_us_ = 0;
  /// The server's clock when this process's was clock_at_; 0: not known.
  std::int64_t clock_us_ = 0;
  TimePoint clock_at_;
  std::int64_t highest_ = 0;        ///< the last number that was drawn, as of the last look
  std::int64_t viewed_number_ = 0;  ///< the last number that was drawn at the last view
};

}  // namespace pgforeman
