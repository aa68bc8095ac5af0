#include "fleet/handler_board.h"

#include <algorithm>
#include <functional>

#include "text/utf8.h"

namespace pgforeman {

std::uint64_t program_id(const Options& options) {
  std::string text = std::to_string(static_cast<int>(options.handler_mode));
  for (const std::string& word : options.handler_argv) text += '\0' + word;
  return std::hash<std::string>{}(text) | 1U;
}

void begin_program(HandlerBoard& board, const Options& options) {
  const std::uint64_t program = program_id(options);
  // Must come first: from here on consumers of the previous program change nothing.
  const bool same = board.program.exchange(program) == program;
  board.braking.store(0);
  board.failed_runs.store(0);
  for (auto& id : board.failed_ids) id.store(0);
  if (same) return;
  board.start.store(StartState::unknown);
  board.worked.store(0);
  board.problem.store({});
  board.noop_from.store(0);
  board.noop_refused.store(0);
}

void record_failed_start(HandlerBoard& board, std::uint64_t program, std::string_view why) {
  if (board.program.load() != program) return;
  board.problem.store(to_valid_utf8(why.substr(0, board.problem.kMostBytes)));
  board.failed_starts.fetch_add(1);
  // proves: P17
  if (board.start.load() != StartState::started) board.start.store(StartState::failed);
}

void record_start_alive(HandlerBoard& board, std::uint64_t program) {
  auto failed = StartState::failed;
  if (board.program.load() == program) {
    board.start.compare_exchange_strong(failed, StartState::lives);
  }
}

std::string start_problem(const HandlerBoard& board) {
  std::string text = board.problem.load();
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return to_valid_utf8(text);
}

}  // namespace pgforeman
