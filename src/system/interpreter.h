#pragma once
// What an interpreter is to run, as far as its command line says so plainly. Fork: either.

#include <span>
#include <string>

namespace pgforeman {

/// The script that argv[0], a known interpreter, would run and that is not there; empty when it is
/// there, or when another form (`-c`, `-m`, an option that is not known here) leaves that open.
std::string missing_script(std::span<const std::string> argv);

/// True when argv[0] is a known interpreter that is given no script: it would run what it reads,
/// the message, as a program.
bool runs_its_input(std::span<const std::string> argv);

/// The same of any program: its first word that is named as a script is (".py", ".sh" ...), when
/// there is no such file. For a program that ended with an error.
std::string missing_argument(std::span<const std::string> argv);

}  // namespace pgforeman
