#pragma once
// What a fleet knows of its handler's program: whether any start of it worked, and whether every
// run fails. Consumers write, the supervisor resets and reads. Lock-free. Readers validate every
// word: a wrong one costs a delay of a minute, or a wrong answer of /readyz.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "options/options.h"

namespace pgforeman {

enum class StartState : std::uint32_t {
  unknown,  ///< none was tried
  failed,   ///< all that were tried failed
  lives,    ///< the last one has not ended for a while
  started,  ///< one did work on a message
};

struct alignas(64) HandlerBoard {
  std::atomic<std::uint64_t> program;  ///< the program_id() that these fields are about
  std::atomic<StartState> start;
  std::atomic<std::uint32_t> worked;  ///< 1: a run succeeded
  std::atomic<std::uint64_t> failed_starts;
  /// Why the last start failed: NUL-terminated, any bytes.
  std::array<std::atomic<char>, 240> problem;
  // The brake: see fleet/brake.h. Monotonic times.
  std::atomic<std::uint64_t> failed_runs;               ///< since the last success
  std::array<std::atomic<std::int64_t>, 3> failed_ids;  ///< of different messages among them
  std::atomic<std::int64_t> failing_since_ms;           ///< time of the first of these failures
  std::atomic<std::uint32_t> braking;                   ///< 1: one run at a time
  std::atomic<std::int64_t> probe_at_ms, interval_ms;   ///< of these runs
  /// HANDLER_MODE=noop without NOOP_DISCARDS: 0 not checked, 1 the queue was empty, 2 it was not.
  std::atomic<std::uint32_t> noop_look;
};
inline constexpr std::uint32_t kNoopEmpty = 1, kNoopRefused = 2;

/// Command and mode, as a number; never 0.
std::uint64_t program_id(const Options& options);

/// Supervisor: children are forked for these options from now on. Forgets what was known of another
/// program, and of this one that it failed.
void begin_program(HandlerBoard& board, const Options& options);

/// Records a failed start, or one that seems to work; not for a program that is being replaced.
void record_failed_start(HandlerBoard& board, std::uint64_t program, std::string_view why);
void record_lives(HandlerBoard& board, std::uint64_t program);

/// At most 239 bytes, valid UTF-8 without control characters.
std::string start_problem(const HandlerBoard& board);

}  // namespace pgforeman
