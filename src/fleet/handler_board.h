#pragma once
// The fleet's shared knowledge of its handler's program: if any start worked, and if every run
// fails. Consumers write, the supervisor resets and reads. Lock-free. Readers validate every word:
// a corrupted word costs a delay of a minute, or a wrong answer of /readyz.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fleet/shared_text.h"
#include "options/options.h"

namespace pgforeman {

enum class StartState : std::uint32_t {
  unknown,  ///< no start was tried
  failed,   ///< all starts failed
  lives,    ///< the last started process has run for a while
  started,  ///< a started process worked on a message
};

struct alignas(64) HandlerBoard {
  std::atomic<std::uint64_t> program;  ///< program_id() of the program described here
  std::atomic<StartState> start;
  std::atomic<std::uint32_t> worked;  ///< 1: a run succeeded
  std::atomic<std::uint64_t> failed_starts;
  /// Why the last start failed: NUL-terminated, any bytes.
  SharedText<240> problem;
  // The brake: see fleet/brake.h. Monotonic times.
  std::atomic<std::uint64_t> failed_runs;               ///< since the last success
  std::array<std::atomic<std::int64_t>, 3> failed_ids;  ///< of different messages that failed
  std::atomic<std::int64_t> failing_since_ms;           ///< time of the first of these failures
  std::atomic<std::uint32_t> braking;                   ///< 1: only probes run
  std::atomic<std::int64_t> probe_at_ms, interval_ms;   ///< next probe; time between probes
  // HANDLER_MODE=noop without NOOP_DISCARDS deletes only what was sent since it began.
  std::atomic<std::int64_t> noop_from;      ///< messages with this id or a higher one; 0: not known
  std::atomic<std::uint32_t> noop_refused;  ///< 1: the queue had others
};

/// Returns a hash of the handler's command and mode; never 0.
std::uint64_t program_id(const Options& options);

/// Supervisor: call before it forks children for new `options`. Clears the brake and its failures;
/// for another program also its start state, its problem, its success and its noop check.
void begin_program(HandlerBoard& board, const Options& options);

/// Record a failed start, and a start that seems to work; ignored if `program` was replaced.
void record_failed_start(HandlerBoard& board, std::uint64_t program, std::string_view why);
void record_start_alive(HandlerBoard& board, std::uint64_t program);

/// Returns why the last start failed: at most 239 bytes read, valid UTF-8, no control characters.
std::string start_problem(const HandlerBoard& board);

}  // namespace pgforeman
