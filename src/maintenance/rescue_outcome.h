#pragma once
// The outcome of a message that a dead consumer held, by its ledger. Pure.
//
//   the ledger's state        outcome
//   waiting                   released
//   running, running_lost     a crash, or released if `Death::blame` is none
//   ended, settling,          the outcome it ended with, and the handler's own delay; the reason of
//   in_doubt                  a failure died with the consumer

#include <string>

#include "fleet/ledger.h"
#include "pgforeman/outcome.h"

namespace pgforeman {

Outcome outcome_of(const LedgerReading::Entry& entry, const LedgerReading& ledger);

/// Of a message that its consumer was doing something with when it died: "ran", "claimed".
Outcome crash_of(const Death& death, const std::string& doing);

}  // namespace pgforeman
