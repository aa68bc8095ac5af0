#pragma once
// Decides the outcome of a message that a dead consumer held, by its ledger. Pure.
//
//   the ledger's state        outcome
//   waiting                   released
//   running, running_lost     a crash, or released if `Death::blame` is none
//   ended, settling,          the outcome of its run, and the handler's own delay; the error text
//   in_doubt                  of a failure is lost with the consumer

#include <string>

#include "fleet/ledger.h"
#include "pgforeman/outcome.h"

namespace pgforeman {

Outcome outcome_of(const LedgerReading::Entry& entry, const LedgerReading& ledger);

/// Returns the crash of a message that its consumer "ran" or "claimed" (`doing`) when it died.
Outcome crash_of(const Death& death, const std::string& doing);

}  // namespace pgforeman
