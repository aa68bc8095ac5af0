#pragma once
// What became of a message: the words that handlers, consumer and queue share. Plain values; no
// thread-safety of their own.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgforeman {

/// Why a run of a message did not finish it.
enum class Cause : std::uint8_t {
  none,                 ///< it finished, or never ran
  retry,                ///< the handler asked for another try
  dead,                 ///< the handler said that no try can help
  exit_code,            ///< the handler's process ended with an error
  contract,             ///< a jsonl handler broke its contract
  timeout,              ///< the handler took longer than it may
  signal,               ///< something killed the handler's process
  out_of_memory,        ///< the kernel killed it for lack of memory
  consumer_crash,       ///< the consumer died while it ran the message
  consumer_deadline,    ///< the supervisor killed the consumer, which missed a deadline
  lease_lost,           ///< another consumer got the message meanwhile
  shutdown,             ///< the fleet stopped before the handler was done
  max_claims_exceeded,  ///< not run: claimed too often without a result
};
inline constexpr int kCauseCount = 13;

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
                                                   "max_claims_exceeded"};
  const auto i = static_cast<std::uint8_t>(cause);
  return i < kCauseCount ? names[i] : std::string_view("none");
}

/// What is known of a run's end; kept in the message's history.
struct Evidence {
  Cause cause = Cause::none;
  int exit_code = -1;             ///< of the process that ended; -1: none did, or by a signal
  int signal = 0;                 ///< that killed it; 0: none
  std::int64_t peak_rss_kib = 0;  ///< of the handler's process, "at most"; 0: not known
  std::string stderr_tail;        ///< what the handler last said there; bounded, valid UTF-8
};

/// What a handler, or the lack of one, made of a message.
struct Outcome {
  enum class Kind : std::uint8_t {
    done,   ///< finished: the row goes away
    retry,  ///< counts an attempt; again later, or dead after the last attempt
    crash,  ///< killed a process; counts a crash; again later, or dead after the last one
    dead,   ///< dead-lettered at once
    max_claims_exceeded,  ///< dead-lettered at once, without a run: claimed too often without a
                          ///< result
    released,  ///< claimable again, the attempt not counted (drain, handler did not start)
  };
  static constexpr std::size_t kKinds = 6;
  Kind kind = Kind::done;
  std::optional<std::chrono::milliseconds> after{};  ///< retry, crash: wins over the backoff
  std::string error{};   ///< not done: one paragraph for a person; bounded, valid UTF-8
  std::string result{};  ///< done: what the handler said; bounded, valid UTF-8
  Evidence evidence{};
};

}  // namespace pgforeman
