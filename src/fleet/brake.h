#pragma once
// Slows a fleet down while every run fails: a bad release would turn a whole backlog into dead
// letters. One consumer at a time runs one message (a probe), after 1, 2, 4 ... 60 s (from
// RETRY_BACKOFF on), until one succeeds. Pure except for the shared words. Fork: either.

#include <cstdint>
#include <optional>

#include "fleet/handler_board.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

class Brake {
 public:
  /// `backoff` is RETRY_BACKOFF, `max_attempts` is MAX_ATTEMPTS.
  Brake(HandlerBoard& board, std::uint64_t program, Millis backoff, int max_attempts)
      : board_(board), program_(program), backoff_(backoff), max_attempts_(max_attempts) {}

  /// True if the fleet brakes: a run then needs a probe from take_probe().
  bool is_on() const { return board_.braking.load() == 1 && is_current(); }
  /// True if the caller may run one message. The caller must then call failed(), succeeded(),
  /// probe_not_started() or give_back(). The probe expires after a minute.
  [[nodiscard]] bool take_probe(TimePoint now);
  void give_back(TimePoint now);
  TimePoint next_probe(TimePoint now) const;

  /// Records a failed run of message `id`. True if this turned the brake on.
  bool failed(std::int64_t id, bool probe, TimePoint now);
  /// Records that the handler did not start for a probe. Other failed starts do not brake the
  /// fleet: they cost no attempt, and each consumer waits by itself.
  void probe_not_started(TimePoint now);
  /// Records a run that succeeded or that the handler answered. True if it turned the brake off.
  bool succeeded();
  /// Records that the program starts: a run got far enough to prove it.
  void started();

  /// Returns how long a message that failed at `attempt` waits while the brake is on, so that
  /// probes run different messages. The wait is longest if the next failure is the last one.
  Millis delay(const Outcome& outcome, int attempt) const;
  Millis interval() const;

 private:
  bool is_current() const { return board_.program.load() == program_; }
  bool every_run_fails(TimePoint now) const;
  void record_id(std::int64_t id);
  bool engage(Millis interval, TimePoint now);
  void lengthen(TimePoint now);

  HandlerBoard& board_;
  std::uint64_t program_;
  Millis backoff_;
  int max_attempts_;
};

}  // namespace pgforeman
