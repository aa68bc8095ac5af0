#pragma once
// The subcommands. Each gets the words after its name and returns the exit code. It prints results
// to standard output and errors to standard error.

#include <span>

#include "pgforeman/exit_code.h"

namespace pgforeman {

using Args = std::span<const char* const>;

ExitCode command_run(Args args);
ExitCode command_migrate(Args args);
ExitCode command_send(Args args);
ExitCode command_status(Args args);
ExitCode command_dead(Args args);
ExitCode command_health(Args args);

}  // namespace pgforeman
