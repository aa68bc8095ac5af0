#pragma once
// What becomes of a message whose jsonl process ended without an answer to it. Pure.

#include "base/child_exit.h"
#include "handlers/jsonl_process.h"

namespace pgforeman {

Outcome outcome_of_exit(const JsonlRun& run, const JsonlProcess& process, const ChildExit& exit);

}  // namespace pgforeman
