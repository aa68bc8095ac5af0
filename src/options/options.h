#pragma once
// Parsed and checked settings. Their table (flag, variable, default, limits, unit, help) is
// src/options/table.cpp; all text about options is made from it.
// Fork: before. A child keeps the values from its fork.

#include <csignal>
#include <string>
#include <vector>

#include "system/clock.h"
#include "system/log.h"
#include "text/quantity.h"

namespace pgforeman {

enum class HandlerMode { exec, jsonl, noop };
enum class StopSignal { term, interrupt, quit, hangup, usr1, usr2 };

constexpr int number_of(StopSignal signal) {
  constexpr int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
  return numbers[static_cast<std::size_t>(signal)];
}
enum class YesNo { no, yes };

struct Options {
  std::string config;             ///< path of the config file; empty: no file
  std::string database_url;       ///< secret; empty: libpq's PG* variables
  std::string database_url_file;  ///< path; the file is read again at each reconnect
  std::string queue = "default";
  int concurrency = 0;  ///< if not given, the CPUs that this container may use
  std::string handler;
  HandlerMode handler_mode = HandlerMode::exec;
  YesNo noop_discards = YesNo::no;
  Millis handler_timeout{};
  StopSignal handler_stop_signal = StopSignal::term;
  Millis handler_stop_grace{2000};
  ByteSize handler_max_memory{};  ///< 0: no limit
  Millis visibility_timeout{};
  int batch = 0;  ///< 0: auto
  Millis poll_interval{};
  int max_attempts = 0;
  int max_crashes = 0;
  int max_claims = 0;
  Millis retry_backoff{};
  Millis retry_backoff_max{};
  std::string health_address;
  int health_port = 0;
  Millis boot_timeout{};
  Millis shutdown_grace{};
  Millis restart_backoff{};
  Millis restart_backoff_max{};
  int max_messages = 0;   ///< 0: never
  ByteSize max_memory{};  ///< 0: never
  int crash_loop_count = 0;
  Millis crash_loop_window{};
  log::Format log_format = log::Format::text;
  log::Level log_level = log::Level::info;

  // Derived values, computed before the first fork so that their mistakes are reported then.
  std::vector<std::string> handler_argv;  ///< argv[0] is the path of an executable
  /// Inherited by the handler; has no secret of pgforeman.
  std::vector<std::string> handler_environment;
};

/// Returns the current database address, with its password; reads database_url_file again. Throws
/// std::runtime_error with the file's name if the file is unusable. Fork: either.
std::string resolve_conninfo(const Options& options);

}  // namespace pgforeman
