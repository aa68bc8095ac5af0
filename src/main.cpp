// Entry point of pgforeman. Read next: the commands in src/commands, the fleet's loop in
// src/supervisor/supervisor.cpp, a consumer's life in src/consumer/consumer.cpp.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string_view>

#include "commands/commands.h"
#include "options/command_line.h"
#include "options/load.h"
#include "pgforeman/version.h"
#include "text/terminal_text.h"

namespace {

using pgforeman::Args;
using pgforeman::ExitCode;
using pgforeman::terminal_text;

struct CommandEntry {
  std::string_view name;
  ExitCode (*main)(Args);
  const char* help;
};

ExitCode command_version(Args args) {
  auto line = pgforeman::split_command_line(pgforeman::Command::version, args, {});
  for (const auto& word : line.positionals) line.errors.push_back(word + ": takes no arguments");
  if (line.help) line.errors.clear();
  if (!line.help && line.errors.empty()) {
    std::printf("pgforeman %s\n", pgforeman::kVersion);
    return ExitCode::ok;
  }
  for (const auto& error : line.errors) {
    std::fprintf(stderr, "pgforeman version: %s\n", terminal_text(error).c_str());
  }
  std::fprintf(line.help ? stdout : stderr, "Usage: pgforeman version\n\nPrints the version.\n");
  return line.help ? ExitCode::ok : ExitCode::usage;
}

constexpr std::array kCommands = {
    CommandEntry{"run", pgforeman::command_run, "run a fleet of consumers"},
    CommandEntry{"migrate", pgforeman::command_migrate, "install or upgrade the queue's schema"},
    CommandEntry{"send", pgforeman::command_send, "put messages into a queue"},
    CommandEntry{"status", pgforeman::command_status, "show a running fleet and its queue"},
    CommandEntry{"dead", pgforeman::command_dead, "list, show, retry or purge dead letters"},
    CommandEntry{"health", pgforeman::command_health, "ask a running fleet whether it is live"},
    CommandEntry{"version", command_version, "print the version"},
};

void print_usage(std::FILE* out) {
  std::fprintf(out,
               "pgforeman %s: a prefork supervisor for PostgreSQL-backed queues\n\n"
               "Usage: pgforeman COMMAND [OPTION...]\n\nCommands:\n",
               pgforeman::kVersion);
  for (const auto& command : kCommands) {
    std::fprintf(out, "  %-10s%s\n", command.name.data(), command.help);
  }
  std::fprintf(out, "\n`pgforeman COMMAND --help` prints more.\n");
}

int dispatch(Args args) {
  if (args.empty()) {
    print_usage(stderr);
    return to_int(ExitCode::usage);
  }
  const std::string_view name = args[0];
  if (name == "help" && args.size() > 1) {  // `help run` is `run --help`
    const std::array<const char*, 2> words = {args[1], "--help"};
    return dispatch(words);
  }
  if (name == "--help" || name == "-h" || name == "help") {
    print_usage(stdout);
    return to_int(ExitCode::ok);
  }
  const bool version = name == "--version" || name == "-V" || name == "-v";
  for (const auto& command : kCommands) {
    if (name == command.name || (version && command.name == "version")) {
      return to_int(command.main(args.subspan(1)));
    }
  }
  std::fprintf(stderr, "pgforeman: %s: unknown command\n\n", terminal_text(args[0]).c_str());
  print_usage(stderr);
  return to_int(ExitCode::usage);
}

/// Returns an error if stdout is incomplete, so that a script does not use half of the output.
int with_output(int code) {
  errno = 0;
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (written || code != to_int(ExitCode::ok)) return code;
  // EPIPE is no error for the user: the reader closed the pipe (`pgforeman dead list | head`).
  if (errno != EPIPE) {
    // errno is 0 if an earlier write failed: its reason is not known any more.
    std::fprintf(stderr, "pgforeman: standard output cannot be written%s%s\n",
                 errno != 0 ? ": " : "", errno != 0 ? std::strerror(errno) : "");
  }
  return to_int(ExitCode::io_error);
}

/// Opens /dev/null for each closed standard descriptor. Otherwise the next open, e.g. of an
/// eventfd, would get its number, and each log line written there would wake the fleet.
void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  // An ignored SIGCHLD is inherited, and children would vanish without being reaped. SIGPIPE is
  // ignored so that a closed pipe (`pgforeman dead list | head`) is a write error, not a crash.
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  pgforeman::capture_secrets();
  try {
    return with_output(dispatch(Args(argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0))));
  } catch (const std::exception& error) {
    if (std::ferror(stdout) != 0) return with_output(to_int(ExitCode::ok));
    std::fprintf(stderr, "pgforeman: internal error: %s\n", terminal_text(error.what()).c_str());
    return to_int(ExitCode::internal);
  }
}
