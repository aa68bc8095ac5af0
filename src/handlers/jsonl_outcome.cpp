#include "handlers/jsonl_outcome.h"

#include <string>

#include "handlers/outcome.h"
#include "handlers/text.h"

namespace pgforeman {

Outcome outcome_of_exit(const JsonlRun& run, const JsonlProcess& process, const ChildExit& exit,
                        const std::string& doubt) {
  const std::string tail = process.tail.text();
  if (run.ending == Ending::lease_lost) return released_outcome(run.ending);
  if (run.verdict) {
    const auto& [cause, what] = *run.verdict;
    if (cause == Cause::out_of_memory) return memory_outcome(what, exit, tail);
    Outcome outcome = retry_outcome(cause, what, tail);
    add_exit(outcome.evidence, exit);
    return outcome;
  }
  if (run.ending == Ending::shutdown) return released_outcome(run.ending, exit, tail);
  const std::string what = "the handler " + ended(exit);
  if (process.read_nothing_from(run.begin)) {
    // Not one byte of the message was read: no attempt of anything.
    return not_started_outcome(what + " before it read the message", tail);
  }
  const bool by_itself = exit.signal == 0 && exit.exit_code == 0;
  return ended_outcome(what + " " + process.without_answer() + (by_itself ? doubt : ""), exit,
                       tail);
}

}  // namespace pgforeman
