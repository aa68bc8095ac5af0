// pgforeman run: the container's entrypoint.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

#include "commands/commands.h"
#include "consumer/consumer.h"
#include "maintenance/maintenance.h"
#include "options/help.h"
#include "options/load.h"
#include "supervisor/supervisor.h"
#include "system/log.h"
#include "system/signals.h"
#include "text/terminal_text.h"

namespace pgforeman {
namespace {

/// Returns a hint for `--handler python3 x.py`, where the shell passes `x.py` as a word of its own.
std::string unquoted_hint(Args args) {
  for (const char* word : args) {
    if (std::string_view(word).substr(0, 9) == "--handler" && word[9] != '-') {
      return "; put a handler of several words in quotes: --handler 'python3 x.py'";
    }
  }
  return {};
}

void print_problem(const std::string& text) {
  std::fprintf(stderr, "pgforeman: %s\n", terminal_text(text).c_str());
}

LoadResult load(Args args) {
  LoadResult loaded = load_options(Command::run, args);
  for (const auto& word : loaded.positionals) {
    loaded.errors.push_back(word + ": `run` takes options only" + unquoted_hint(args));
  }
  return loaded;
}

void print_help(bool all) {
  std::printf(
      "Usage: pgforeman run [OPTION...]\n\n"
      "Forks a fleet of consumers that claim messages of a queue and hand each to the handler,\n"
      "and serves /livez, /readyz, /status and /metrics for it. TERM or INT drains the fleet; HUP\n"
      "reads the options again; TTIN and TTOU add and remove a consumer.\n\n"
      "Example: pgforeman run --queue=mail --handler='python3 /app/mail.py'\n\n%s",
      options_help(Command::run, !all).c_str());
}

}  // namespace

ExitCode command_run(Args args) {
  LoadResult loaded = load(args);
  if (loaded.help) {
    print_help(loaded.help_all);
    return ExitCode::ok;
  }
  for (const auto& warning : loaded.warnings) print_problem("warning: " + warning);
  for (const auto& error : loaded.errors) print_problem(error);
  if (!loaded.errors.empty()) return ExitCode::config;
  log::configure(loaded.options.log_level, loaded.options.log_format, STDOUT_FILENO);
  log::identify("supervisor", -1, 0);
  block_all_signals();
  const ChildEntryPoints mains{consumer_main, maintenance_main, [args] { return load(args); }};
  try {
    return Supervisor(std::move(loaded.options), mains).run();
  } catch (const std::system_error& error) {
    print_problem(error.what());
    return ExitCode::io_error;
  }
}

}  // namespace pgforeman
