#pragma once
// What becomes of a message when its jsonl process ended without an answer to it. Pure.

#include <string>

#include "base/child_exit.h"
#include "handlers/jsonl_process.h"

namespace pgforeman {

/// `doubt` is added to the error of one that ended with exit code 0.
Outcome outcome_of_exit(const JsonlRun& run, const JsonlProcess& process, const ChildExit& exit,
                        const std::string& doubt);

}  // namespace pgforeman
