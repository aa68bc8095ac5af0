#include "handlers/handler_process.h"

#include "handlers/outcome.h"

namespace pgforeman {

HandlerProcess::HandlerProcess(boost::asio::io_context& io, Spawned spawned,
                               const HandlerSettings& settings, StderrBudget& budget,
                               PipeReader::OnData on_output, PipeReader::OnEnd on_output_end,
                               PipeWriter::OnBroken on_input_broken) try
    : pid(spawned.pid),
      log(spawned.pid, budget),
      ender(io),
      start_check(io),
      in(io, std::move(spawned.in), std::move(on_input_broken)),
      out(io, std::move(spawned.out), std::move(on_output), std::move(on_output_end)),
      err(io, std::move(spawned.err), [this, &settings](std::string_view chunk) {
        tail.feed(chunk);
        if (settings.on_stderr) settings.on_stderr(chunk);
        log.feed(chunk);
      }) {
} catch (...) {
  kill_group(spawned.pid);  // the consumer reaps it as an unknown child
  throw;
}

void HandlerProcess::drain_stderr() {
  err.drain();
  log.finish();
}

Outcome Ending::outcome(const ChildExit& exit, std::string_view stderr_tail) const {
  if (stop == StopReason::lease_lost) {
    return released_outcome(Cause::lease_lost, "the lease was lost while it ran");
  }
  Outcome outcome = released_outcome(Cause::shutdown, "ended by a shutdown before it finished");
  outcome.evidence.stderr_tail = stderr_tail;
  if (verdict) outcome = retry_outcome(verdict->first, verdict->second, stderr_tail);
  if (killed_for_memory()) outcome.kind = Outcome::Kind::crash;
  add_exit(outcome.evidence, exit);
  return outcome;
}

}  // namespace pgforeman
