#pragma once
// The fleet's one extra child: what is needed once a fleet, not once a consumer. Its duties:
//   rescue   settles what dead consumers left in their ledgers, at once
//   tick     promotes due messages, counts the queue into the scoreboard, wakes idle consumers,
//            and is the fleet's probe of the database
// The fleet works on without it, more slowly: leases end by the visibility timeout.
// Fork: after.

#include <boost/asio/posix/stream_descriptor.hpp>
#include <string>
#include <vector>

#include "child/child_loop.h"
#include "child/session.h"
#include "scoreboard/ledger.h"

namespace pgforeman {

/// The maintenance child's whole process.
[[noreturn]] void maintenance_main(const ChildContext& context) noexcept;

class Maintenance {
 public:
  explicit Maintenance(const ChildContext& context);

  /// Works until told to drain; then once more rescues what there is.
  void run();

 private:
  void rescue_all();
  void rescue(int ledger);
  std::vector<Settled> settle_entries(const LedgerReading& ledger);
  void release_unheard();
  void tick();
  void tick_soon();
  void publish(const QueueCounts& counts);
  void wake_idle(std::int64_t messages);
  void wait_for_work();

  /// A claim whose consumer died before it heard the answer. The server may still be working on
  /// it, so that its rows can turn up after the first look.
  struct UnheardClaim {
    int ledger;  ///< stays orphaned until the last look: whoever replaces us starts over
    std::int64_t token;
    bool blame;
    std::string cause;
    Millis wait;  ///< until the look after the next
    TimePoint next_look;
  };

  const ChildContext& context_;
  ChildLoop loop_;
  Session session_;
  boost::asio::posix::stream_descriptor calls_;
  std::vector<UnheardClaim> unheard_;
  TimePoint next_tick_, ticked_at_, next_count_;
  bool announced_ = false;  ///< this session was told to the consumers that look for one
};

}  // namespace pgforeman
