#pragma once
// Finds claimable messages below the low-water marks, where claims do not scan: committed late,
// their host lost, their claim rolled back. Moves them to where claims scan first. Two scans:
//   near: the recent scan  often, for late commits: from where every writer has ended, but at most
//                          100,000 to 400,000 ids below the marks, some milliseconds' worth
//   pass: the full scan    at most a tenth of the time: in slices, from the lowest id alive, with
//                          at most a second's rest between slices
// With nothing alive below the marks and no sender that may commit there, it makes one recent scan
// each ten seconds. Fork: after.

#include <deque>
#include <optional>

#include "fleet/marks.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Sweeper {
 public:
  explicit Sweeper(const MaintenanceTools& tools) : tools_(tools) {}

  /// A new session, maybe to another server, which may have lost something: starts over.
  void session_opened() { start_over(); }
  /// Does what is due. Throws DatabaseError.
  void run_once();
  TimePoint next() const;
  /// Something was committed: maybe late.
  void soon();

  /// Counting begins above these ids: the last full scan counted the leases up to them. Before the
  /// first one, or if it is long ago, 10,000 ids below the marks: few leases are that old.
  Marks counted() const;
  std::int64_t leased_behind() const { return leased_behind_; }

 private:
  /// The marks when transaction `xid` ran. Once every open transaction is newer than the next
  /// sample's, all ids up to `marks` are visible.
  struct Sample {
    std::int64_t xid;
    Marks marks;
  };
  struct Pass {
    bool under_way = false;
    Marks at{}, target{};
    Marks base{};  ///< up to where all senders had ended when it began
    Marks lowest{};
    std::int64_t leased = 0;
    bool again = false;  ///< it skipped claimable messages that were locked
    std::optional<TimePoint> lease_end;
  };

  void try_near(const Marks& marks);
  void try_pass(const Marks& marks);
  void rest_near(TimePoint until);
  bool near_needed(const Marks& marks) const;
  bool pass_needed(const Marks& marks) const;
  void look_near(const Marks& marks);
  void pass(const Marks& marks);
  void begin_pass(const Marks& marks);
  bool look_at_slice();
  void end_pass(Clock::duration rest);
  bool beyond_near() const;
  Sweep sweep(const Marks& after, const Marks& upto);
  void record_sample(const Sweep& sweep, const Marks& marks);
  bool trusts(const Sweep& sweep, const Marks& marks);
  void start_over();
  void record_life();

  const MaintenanceTools& tools_;
  Marks seen_{};  ///< the marks at the last run

  Marks settled_{};  ///< every writer of ids up to here has ended
  std::deque<Sample> samples_;
  TimePoint next_near_, near_soonest_;
  Millis near_wait_{0};
  /// Time of the next unconditional recent scan: the marks may be wrong after a restore, a truncate
  /// or with a cached sequence.
  TimePoint look_anyway_at_;
  std::int64_t near_span_ = 0;  ///< most ids of a recent scan
  bool near_failing_ = false, pass_failing_ = false;

  Pass pass_;
  Marks floor_{};  ///< nothing up to here is alive in the fresh lanes
  std::int64_t width_ = 0;
  TimePoint next_pass_;
  /// When a full scan must begin at the first id again: something happened since the last one.
  std::optional<TimePoint> from_start_at_;
  Marks passed_{};
  std::int64_t leased_behind_ = 0;
};

}  // namespace pgforeman
