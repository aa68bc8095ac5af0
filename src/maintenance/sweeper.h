#pragma once
// Finds claimable messages below the low-water marks, where claims do not scan, and moves them into
// the redelivered lane. A late commit, a lost host or a rolled-back claim leaves them there. Scans:
//   recent scan  often, for late commits: the ids with open writers, but at most 100,000 to 400,000
//                ids below the marks, which takes some milliseconds
//   full scan    at most a tenth of the time: in slices, from the lowest live id, with a rest of at
//                most a second between slices
// With no live message below the marks and no sender that may commit there, only one recent scan is
// made each ten seconds. Fork: after.

#include <deque>
#include <optional>

#include "fleet/marks.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Sweeper {
 public:
  explicit Sweeper(const MaintenanceTools& tools) : tools_(tools) {}

  /// Starts over: a new session may be to another server, which may have lost something.
  void session_opened() { start_over(); }
  /// Runs the scans that are due. Throws DatabaseError.
  void run_once();
  TimePoint next() const;
  /// A message was committed, perhaps below a mark: makes the recent scan due soon.
  void soon();

  /// Returns the ids above which counting begins: the last full scan counted the leases up to them.
  /// Without a recent full scan, 10,000 ids below the marks: few leases are older.
  Marks count_from() const;
  std::int64_t leased_below() const { return leased_below_; }

 private:
  /// The marks when transaction `xid` ran. Once every open transaction is newer than the next
  /// sample's, all ids up to `marks` are visible.
  struct Sample {
    std::int64_t xid;
    Marks marks;
  };
  struct FullScan {
    bool under_way = false;
    Marks at{}, target{};
    Marks base{};  ///< settled_ when it began
    Marks lowest{};
    std::int64_t leased = 0;
    bool again = false;  ///< it skipped claimable messages that were locked
    std::optional<TimePoint> lease_end;
  };

  void try_recent(const Marks& marks);
  void try_full(const Marks& marks);
  void rest_recent(TimePoint until);
  bool recent_needed(const Marks& marks) const;
  bool full_needed(const Marks& marks) const;
  void scan_recent(const Marks& marks);
  void full_scan(const Marks& marks);
  void begin_full(const Marks& marks);
  bool scan_slice();
  void end_full(Clock::duration rest);
  bool beyond_recent() const;
  Sweep sweep(const Marks& after, const Marks& upto);
  void record_sample(const Sweep& sweep, const Marks& marks);
  bool trusts(const Sweep& sweep, const Marks& marks);
  void start_over();
  void record_alive();

  const MaintenanceTools& tools_;
  Marks seen_{};  ///< the marks at the last run

  Marks settled_{};  ///< every writer of ids up to here has ended
  std::deque<Sample> samples_;
  TimePoint next_recent_, recent_soonest_;
  Millis recent_wait_{0};
  /// Time of the next unconditional recent scan: the marks may be wrong after a restore, a truncate
  /// or with a cached sequence.
  TimePoint unconditional_scan_at_;
  std::int64_t recent_span_ = 0;  ///< most ids of a recent scan
  bool recent_failing_ = false, full_failing_ = false;

  FullScan full_;
  Marks floor_{};  ///< the fresh lanes have no live message up to here
  std::int64_t slice_ids_ = 0;
  TimePoint next_full_;
  /// Time when a full scan must begin at the first id; set by a change since the last such scan.
  std::optional<TimePoint> from_start_at_;
  Marks fully_scanned_{};
  std::int64_t leased_below_ = 0;
};

}  // namespace pgforeman
