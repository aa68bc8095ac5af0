#include "handlers/jsonl_outcome.h"

#include <string>

#include "handlers/outcome.h"
#include "handlers/text.h"

namespace pgforeman {

Outcome outcome_of_exit(const JsonlRun& run, const JsonlProcess& process, const ChildExit& exit) {
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
  const std::string what = "the handler " + exit.explain();
  if (process.read_nothing_from(run.line.begin)) {
    // Not one byte of the message was read: no attempt of anything.
    Outcome outcome = ended_outcome(what + " before it read the message", exit, tail);
    outcome.kind = Outcome::Kind::released;
    outcome.evidence = {};
    return outcome;
  }
  const std::string& partial = process.lines.partial();
  return ended_outcome(what + (partial.empty() ? std::string(" without an answer")
                                               : " after half a line: " + excerpt(partial)),
                       exit, tail);
}

}  // namespace pgforeman
