#pragma once
// Outcome of a run, in the terms that handlers, consumer and queue share. Plain values; not
// thread-safe.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgforeman {

/// Reason why a run did not finish its message.
enum class Cause : std::uint8_t {
  none,                 ///< the message is done, or never ran
  retry,                ///< the handler asked for another try
  dead,                 ///< the handler said that no other try can succeed
  exit_code,            ///< the handler's process ended with an error
  contract,             ///< a jsonl handler broke its contract
  timeout,              ///< the handler took longer than HANDLER_TIMEOUT
  signal,               ///< a signal killed the handler's process
  out_of_memory,        ///< killed for its memory: by the kernel or HANDLER_MAX_MEMORY
  consumer_crash,       ///< the consumer died while it ran the message
  consumer_deadline,    ///< the supervisor killed the consumer for a missed deadline
  lease_lost,           ///< another consumer got the message during the run
  shutdown,             ///< the fleet stopped before the handler was done
  max_claims_exceeded,  ///< not run: claimed too often without a result
  unreadable,           ///< not run: the database cannot hand out its payload
};
inline constexpr int kCauseCount = 14;

constexpr std::string_view to_string(Cause cause) {
  constexpr std::string_view names[kCauseCount] = {"none",
                                                   "retry",
                                                   "dead",
                                                   "exit_code",
                                                   "contract",
                                                   "timeout",
                                                   "signal",
                                                   "out_of_memory",
                                                   "consumer_crash",
                                                   "consumer_deadline",
                                                   "lease_lost",
                                                   "shutdown",
                                                   "max_claims_exceeded",
                                                   "unreadable"};
  const auto i = static_cast<std::uint8_t>(cause);
  return i < kCauseCount ? names[i] : std::string_view("none");
}

/// Facts about the end of a run; kept in the message's history.
struct Evidence {
  Cause cause = Cause::none;
  int exit_code = -1;             ///< of the process; -1: none ended, or a signal killed it
  int signal = 0;                 ///< the killing signal; 0: none
  std::int64_t peak_rss_kib = 0;  ///< upper bound for the handler's process; 0: not known
  std::string stderr_tail;        ///< end of the handler's stderr; bounded, valid UTF-8
};

/// Result for one message, from its handler or without a run.
struct Outcome {
  enum class Kind : std::uint8_t {
    done,   ///< finished: the row is deleted
    retry,  ///< counts an attempt; runs again later, or dead after the last attempt
    crash,  ///< killed a process; counts a crash; runs again later, or dead after the last crash
    dead,   ///< dead-lettered at once
    max_claims_exceeded,  ///< dead-lettered at once, without a run: claimed too often without a
                          ///< result
    released,             ///< claimable again, counts no attempt (drain, handler did not start)
  };
  static constexpr std::size_t kKinds = 6;
  Kind kind = Kind::done;
  std::optional<std::chrono::milliseconds>
      after{};           ///< the delay before the next run; none: backoff, or no delay if released
  std::string error{};   ///< unless done: one paragraph for a person; bounded, valid UTF-8
  std::string result{};  ///< done: the handler's answer; bounded, valid UTF-8
  Evidence evidence{};
};

}  // namespace pgforeman
