#include "maintenance/rescue_outcome.h"

#include <algorithm>
#include <string>

#include "text/utf8.h"

namespace pgforeman {
namespace {

using Kind = Outcome::Kind;

/// Makes the last output of a dead consumer's handler fit for a database.
std::string readable(const std::string& raw) {
  std::string text = to_valid_utf8(raw);
  std::replace(text.begin(), text.end(), '\0', ' ');
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Returns the outcome in the ledger, which the queue may not know.
Outcome finished(const LedgerReading::Entry& entry, const Death& death) {
  Outcome outcome{entry.outcome};
  if (outcome.kind == Kind::done) return outcome;
  outcome.evidence = entry.evidence;  // also if released: it may have run until the fleet stopped
  if (outcome.kind == Kind::released) return outcome;
  outcome.error = "the run failed, its error is lost: " + death.explain;
  if (entry.after_ms >= 0) outcome.after = Millis{entry.after_ms};
  return outcome;
}

}  // namespace

Outcome crash_of(const Death& death, const std::string& doing) {
  Outcome outcome{Kind::crash};
  // Runs again at once, so that the fleet soon knows whether it crashes again.
  outcome.after = Millis{0};
  outcome.error = death.explain + " while it " + doing + " this message";
  outcome.evidence = {death.blame, death.exit_code, death.signal, death.handler_peak_rss_kib, ""};
  return outcome;
}

Outcome outcome_of(const LedgerReading::Entry& entry, const LedgerReading& ledger) {
  if (is_unsettled(entry.state)) return finished(entry, ledger.death);
  Outcome outcome{Kind::released};
  if (entry.state == MessageState::waiting) return outcome;
  if (ledger.death.blame == Cause::none) {
    outcome.evidence.cause = Cause::shutdown;
  } else {
    outcome = crash_of(ledger.death, "ran");
  }
  outcome.evidence.stderr_tail = readable(ledger.stderr_tail);
  return outcome;
}

}  // namespace pgforeman
