#pragma once
// The settings of a start, parsed and checked. Their table (flag, variable, default,
// limits, unit, help) is src/options/table.cpp; everything printed about options comes from it.
// Fork: before; children see the values they were forked with.

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
  std::string config;             ///< path of the config file; empty: none
  std::string database_url;       ///< secret; empty: libpq's PG* variables
  std::string database_url_file;  ///< read again at each reconnect
  std::string queue = "default";
  int concurrency = 0;  ///< resolved: the CPUs this container may use, when it was not given
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

  // Derived while checking, so that nothing is found out after the first fork.
  std::vector<std::string> handler_argv;         ///< argv[0] is an executable's path
  std::vector<std::string> handler_environment;  ///< what the handler inherits: no secret of ours
};

/// Reads the database secret as of now (database_url_file is read again). Throws
/// std::runtime_error naming the file. Fork: either.
std::string resolve_conninfo(const Options& options);

}  // namespace pgforeman
