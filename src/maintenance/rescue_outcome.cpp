#include "maintenance/rescue_outcome.h"

#include <algorithm>
#include <string>

#include "base/utf8.h"

namespace pgforeman {
namespace {

using Kind = Outcome::Kind;

/// What a dead consumer's handler last said, made fit for a database.
std::string readable(const std::string& raw) {
  std::string text = to_valid_utf8(raw);
  std::replace(text.begin(), text.end(), '\0', ' ');
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// Its outcome stood in the ledger, and the queue did not know it, when its consumer died.
Outcome finished(Kind kind, const LedgerReading::Entry& entry, const Death& death) {
  Outcome outcome{kind};
  if (kind == Kind::done) return outcome;
  outcome.error = death.explain + " before it could say why";
  outcome.evidence = entry.evidence;
  if (entry.after_ms >= 0) outcome.after = Millis{entry.after_ms};
  return outcome;
}

}  // namespace

Outcome crash_of(const Death& death, const std::string& doing) {
  Outcome outcome{Kind::crash};
  // At once: it is in the fleet's interest to know soon whether it happens again.
  outcome.after = Millis{0};
  outcome.error = death.explain + " while it " + doing + " this message";
  outcome.evidence = {death.blame, death.exit_code, death.signal, death.handler_peak_rss_kib, ""};
  return outcome;
}

Outcome outcome_of(const LedgerReading::Entry& entry, const LedgerReading& ledger) {
  switch (entry.state) {
    case LeaseState::done:
      return finished(Kind::done, entry, ledger.death);
    case LeaseState::dead:
      return finished(Kind::dead, entry, ledger.death);
    case LeaseState::retry:
      return finished(Kind::retry, entry, ledger.death);
    case LeaseState::crash:
      return finished(Kind::crash, entry, ledger.death);
    case LeaseState::worn_out:
      return finished(Kind::worn_out, entry, ledger.death);
    case LeaseState::released: {
      Outcome outcome{Kind::released};
      outcome.evidence = entry.evidence;  // it may have run, until the fleet stopped
      return outcome;
    }
    case LeaseState::running: {
      Outcome outcome = ledger.death.blame == Cause::none ? Outcome{Kind::released}
                                                          : crash_of(ledger.death, "ran");
      if (outcome.kind == Kind::released) outcome.evidence.cause = Cause::shutdown;
      outcome.evidence.stderr_tail = readable(ledger.stderr_tail);
      return outcome;
    }
    default:
      return Outcome{Kind::released};
  }
}

}  // namespace pgforeman
