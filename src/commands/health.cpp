#include <fmt/format.h>

#include <array>

#include "commands/ask_fleet.h"
#include "commands/commands.h"
#include "commands/text_table.h"

namespace pgforeman {
namespace {

constexpr std::string_view kHealthHelp = R"(Usage: pgforeman health [--timeout DURATION]

Asks the fleet on this host whether it is live (GET /livez). Needs no curl in the image:
  HEALTHCHECK CMD ["pgforeman", "health"]
Live means that a restart of the container would not help. A fleet without a database is live;
/readyz and `pgforeman status` tell whether it can work.

Exit codes:
  0   live
  1   not live, or no answer in time; the reason is printed
  64  an argument or flag value is wrong
  78  an option is wrong
)";

}  // namespace

ExitCode command_health(Args args) {
  const std::array flags = {kTimeoutFlag};
  return run_command(Command::health, args, flags, kHealthHelp, [](const CommandWords& words) {
    refuse_positionals(words);
    const Millis timeout = read_timeout(words);
    try {
      const HttpAnswer answer = ask_endpoint(words.options, "/livez", timeout);
      fmt::print("{}\n", printable(answer.body));
      return answer.status == 200 ? ExitCode::ok : ExitCode::nothing_found;
    } catch (const HttpGetError& error) {
      complain(Command::health, error.what());
      return ExitCode::nothing_found;
    }
  });
}

}  // namespace pgforeman
