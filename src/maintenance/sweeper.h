#pragma once
// The duty that finds what claims pass by. Consumers look for fresh messages only above the marks
// on the scoreboard. What becomes claimable behind those (committed late, its host was lost, its
// claim was rolled back) is moved to where they look first. Two kinds of looks:
//   near   often, for what commits late: a window below the marks, down to where every writer has
//          ended, and as wide as can be looked through in some milliseconds (100,000 ids at least)
//   a pass at a tenth of its time, for everything: in slices, from the lowest message alive, with
//          a second's rest between slices at most.
// With nothing behind the marks and no sender that may commit there, a look near each ten seconds
// is all it does. Fork: after.

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

  /// From where to count. Up to there the last pass has counted the leases. Before the first one is
  /// done, and while passes take long, it is so far behind that few can be left.
  Marks counted() const;
  std::int64_t leased_behind() const { return leased_behind_; }

 private:
  /// How far claims had come before a transaction of its own, by which others can be told to be
  /// older.
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
    bool again = false;  ///< it left claimable ones behind, which were locked
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
  /// When to look near though every writer has ended: what marks and ids rely on may not hold (a
  /// sequence with a cache, a table that was emptied or restored).
  TimePoint look_anyway_at_;
  std::int64_t near_span_ = 0;  ///< how many ids it looks back at most
  bool near_failing_ = false, pass_failing_ = false;

  Pass pass_;
  Marks floor_{};  ///< nothing up to here is alive in the fresh lanes
  std::int64_t width_ = 0;
  TimePoint next_pass_;
  /// When a pass is to begin at the first id again: something happened since one did.
  std::optional<TimePoint> from_start_at_;
  Marks passed_{};
  std::int64_t leased_behind_ = 0;
};

}  // namespace pgforeman
