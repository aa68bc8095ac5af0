#pragma once
// A consumer: claims messages, has them handled one at a time in order, settles each. A process of
// its own; shared is the scoreboard alone. Fork: after. Start reading at Consumer::run().

#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/oom_kills.h"
#include "child/child_loop.h"
#include "child/session.h"
#include "child/settle_each.h"
#include "child/unheard_claim.h"
#include "consumer/batch_size.h"
#include "consumer/handler_watch.h"
#include "consumer/recycling.h"
#include "consumer/vacuum_duty.h"
#include "handlers/handler.h"
#include "scoreboard/ledger.h"

namespace pgforeman {

/// The consumer's whole process.
[[noreturn]] void consumer_main(const ChildContext& context) noexcept;

class Consumer {
 public:
  explicit Consumer(const ChildContext& context);
  /// Works until told to drain; then hands back what it holds.
  void run();

 private:
  using Indexes = std::span<const std::size_t>;  ///< of batch_
  /// One claimed message and how far it has come.
  struct Held {
    Message message;
    bool started = false;  ///< or finished without a run
    bool running = false;
    std::int64_t started_ms = 0;  ///< wall clock
    bool lost = false;
    std::optional<Outcome> outcome;  ///< not yet told to the queue
    bool asked = false;              ///< told, but the answer was lost: it may have been done
    TimePoint tell_at;               ///< not before: somebody had its row locked
    Millis locked_for{0};            ///< and so long it then waited

    bool waits() const { return !started && !lost; }
    bool untold() const { return outcome && !lost; }
  };

  void work();
  bool just_emptied();
  bool claim();
  std::optional<ClaimTurn> wait_for_turn();
  void hold(Indexes done, std::vector<Message> messages, int wanted);
  void begin_claim(int wanted, const Marks& marks, bool tells);
  bool claim_failed(Indexes done, const DatabaseError& error);
  void give_back_claim();
  bool can_claim() const { return batch_.size() < kMaxBatch; }
  Millis poll_interval(TimePoint now) const;
  void wait();
  void pass_on_wake_up();
  void work_off_batch();
  bool held_long_enough() const;
  bool worn_out(std::size_t index);
  void run_one(std::size_t index);
  Outcome handle(std::size_t index, TimePoint started_at);
  void look_after_lease(std::size_t running);
  void keep_lease_while_running(std::size_t index);
  bool open_session_while_running();
  bool lease_is_old(TimePoint now);
  void note_lost(std::size_t index);
  void renew(std::size_t from);
  void lease_lost(Held& held);
  bool may_tell_with_claim() const;
  std::vector<std::size_t> done_together() const;
  void settle();
  void note_done(Indexes done);
  void end_telling(std::size_t told);
  std::vector<Telling> ask(std::span<const Settlement> settlements, Indexes indexes);
  void note_told(std::size_t index, const Telling& telling);
  void forget_told();
  bool unanswered() const;
  bool has_work() const;
  void release_unstarted();
  void finish(std::size_t index, TimePoint now);
  TimePoint next_telling() const;
  void tell_while_running();
  void hand_back();
  void close_handler();
  bool open_handler();
  void clean_up_strangers();
  std::int64_t next_token();

  const ChildContext& context_;
  const Options& options_;
  ChildLoop loop_;
  Session session_;
  LedgerWriter ledger_;
  OomWatch oom_;
  Recycling recycling_;
  BatchSize batch_size_;
  VacuumDuty vacuum_;
  HandlerWatch watch_;  ///< before the handler, which calls it
  std::unique_ptr<Handler> handler_;
  boost::asio::posix::stream_descriptor bell_;

  /// In the order they run, after what is finished but could not be told; empty: nothing is held.
  std::vector<Held> batch_;
  std::int64_t open_claim_ = 0;           ///< the token of a claim whose answer was never seen
  Marks open_claim_marks_{};              ///< from where it looks
  TimePoint tell_by_ = TimePoint::max();  ///< when it must, though the batch goes on
  bool tell_alone_ = false;               ///< what a claim was to tell along it could not
  std::string claim_refused_;             ///< why, when the answer came and could not be read
  Clock::duration handled_for_{};  ///< the batch, by its handler
  TimePoint leased_at_;            ///< when the leases of the batch were last extended (asked)
  TimePoint try_renewal_at_;       ///< not before
  TimePoint try_telling_at_;       ///< not before, while a message runs without a session
  std::uint64_t claims_ = 0;
  int handler_failures_ = 0;
  bool got_less_ = false;      ///< the last claim: than it wanted, but something
  bool woken_ = false;         ///< the last wait ended by a wake-up, or to look for all others
};

}  // namespace pgforeman
