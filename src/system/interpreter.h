#pragma once
// Finds the script of an interpreter, as far as its command line shows it clearly. Fork: either.

#include <span>
#include <string>

namespace pgforeman {

/// Returns the script that argv[0], a known interpreter, would run, if the file is missing. Returns
/// "" if it exists, or if the command line is unclear (`-c`, `-m`, an unknown option).
std::string missing_script(std::span<const std::string> argv);

/// True if argv[0] is a known interpreter without a script: it would run its stdin, the message, as
/// a program.
bool runs_its_input(std::span<const std::string> argv);

/// Returns the missing script of any program that ended with an error: missing_script(), or the
/// first argument with a script's suffix (".py", ".sh" ...) if there is no such file.
std::string missing_argument(std::span<const std::string> argv);

}  // namespace pgforeman
