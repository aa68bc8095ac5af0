#pragma once
// Slows a fleet down in which every run fails: a bad release would make dead letters of a whole
// backlog. Then one consumer at a time runs one message, after 1, 2, 4 ... 60 s (from RETRY_BACKOFF
// on), until a run succeeds. Pure but for the shared words: time is given. Fork: either.

#include <cstdint>
#include <optional>

#include "fleet/handler_board.h"
#include "pgforeman/outcome.h"
#include "system/clock.h"

namespace pgforeman {

class Brake {
 public:
  /// `backoff` and `max_attempts` as in RETRY_BACKOFF and MAX_ATTEMPTS.
  Brake(HandlerBoard& board, std::uint64_t program, Millis backoff, int max_attempts)
      : board_(board), program_(program), backoff_(backoff), max_attempts_(max_attempts) {}

  /// Only what take_probe() grants may run.
  bool is_on() const { return board_.braking.load() == 1 && is_current(); }
  /// True: the caller may run one message and must then call failed(), succeeded(),
  /// probe_not_started() or give_back(). The probe expires after a minute.
  [[nodiscard]] bool take_probe(TimePoint now);
  void give_back(TimePoint now);
  TimePoint next_probe(TimePoint now) const;

  /// A run of message `id` failed. True: from now on the fleet brakes.
  bool failed(std::int64_t id, bool probe, TimePoint now);
  /// The handler did not start for a probe. (Other failed starts do not brake the fleet: they cost
  /// no message anything, and each consumer waits by itself.)
  void probe_not_started(TimePoint now);
  /// A run succeeded, or the handler itself decided about the message. True: the brake is off.
  bool succeeded();
  /// A run came so far that the program must have started.
  void started();

  /// While it is on: how long a message that failed at `attempt` waits, so that it is not always
  /// the same ones that are run and charged. Longest where the next failure is its last.
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
