#pragma once
// The one table of exit codes. `docs/operating.md` prints it; the numbers are API.

namespace pgforeman {

enum class ExitCode : int {
  ok = 0,                ///< done; for `run`: drained after TERM or INT
  nothing_found = 1,     ///< the command worked and there was nothing (or: not healthy)
  usage = 64,            ///< unknown command, or a command's own words are off
  bad_data = 65,         ///< input that is not what the command takes (e.g. invalid JSON)
  unavailable = 69,      ///< the database or the endpoint cannot be reached, or refused
  internal = 70,         ///< a bug in pgforeman
  cannot_fork = 71,      ///< the first fleet could not be forked within the boot timeout
  io_error = 74,         ///< the health endpoint's port cannot be bound, or output not written
  schema_mismatch = 76,  ///< the database's schema is newer than this binary, or not installed
  config = 78,           ///< an option is wrong; every mistake is named
};

constexpr int to_int(ExitCode code) {
  return static_cast<int>(code);
}

}  // namespace pgforeman
