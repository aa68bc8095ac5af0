#pragma once
// All exit codes of the program. `docs/operating.md` lists them; the numbers are API.

namespace pgforeman {

enum class ExitCode : int {
  ok = 0,                ///< done; for `run`: drained after TERM or INT
  nothing_found = 1,     ///< the command found nothing, or the fleet is not healthy
  usage = 64,            ///< unknown command, or wrong arguments of a command
  bad_data = 65,         ///< input that the command cannot take, e.g. invalid JSON
  unavailable = 69,      ///< the database or the endpoint is unreachable, or refused
  internal = 70,         ///< a bug in pgforeman
  cannot_fork = 71,      ///< the first fleet could not be forked within the boot timeout
  io_error = 74,         ///< the health endpoint's port cannot be bound, or output not written
  schema_mismatch = 76,  ///< the database's schema is newer than this binary, or not installed
  config = 78,           ///< an option is wrong; every mistake is printed
};

constexpr int to_int(ExitCode code) {
  return static_cast<int>(code);
}

}  // namespace pgforeman
