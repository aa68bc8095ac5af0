// pgforeman migrate: installs or upgrades the queue's schema.

#include "queue/migrate.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "commands/commands.h"
#include "commands/database_command.h"
#include "commands/text_table.h"
#include "queue/database_error.h"

namespace pgforeman {

namespace {

constexpr std::string_view kMigrateHelp =
    "Usage: pgforeman migrate [--grant ROLE] [--dry-run]\n"
    "\n"
    "Installs the schema `pgforeman` in the database, or brings it up to date. Each migration is "
    "one\n"
    "transaction, and all of them run under one lock: every replica may run this at once.\n"
    "\n"
    "Exit codes:\n"
    "  0   the schema is this version's (also: there was nothing to do)\n"
    "  64  a word of this command is wrong\n"
    "  69  the database cannot be reached, or refused\n"
    "  76  the schema is newer than this pgforeman\n"
    "  78  an option is wrong\n";

constexpr std::array kMigrateFlags = {
    FlagHelp{"grant", "ROLE",
             "then give this role what it needs to run a fleet, to send and to work on dead "
             "letters, and no more"},
    FlagHelp{"dry-run", "", "print the SQL that would be run, and change nothing"}};

// PostgreSQL takes this word for everybody, however it is quoted.
constexpr std::string_view kEverybody = "public";

ExitCode dry_run(Connection& connection, const std::optional<std::string>& role) {
  const int installed = installed_version(connection);
  if (installed > latest_version()) {
    throw DatabaseError(DatabaseError::Kind::schema, schema_mismatch(installed));
  }
  for (const Migration& migration : migrations()) {
    if (migration.version > installed) fmt::print("{}\n", migration_script(migration));
  }
  if (installed == latest_version()) {
    fmt::print("-- nothing to do: the schema is version {}\n", installed);
  }
  if (role) fmt::print("{}", grants_script(connection, *role));
  return ExitCode::ok;
}

}  // namespace

ExitCode command_migrate(Args args) {
  const CommandWords words =
      read_command_words(Command::migrate, args, kMigrateFlags, kMigrateHelp);
  if (words.finished) return *words.finished;
  if (!words.positionals.empty()) {
    return wrong_usage(Command::migrate,
                       fmt::format("'{}' is one word too many", printable(words.positionals[0])));
  }
  const std::optional<std::string> role = words.value("grant");
  if (role && (role->empty() || *role == kEverybody)) {
    return wrong_usage(
        Command::migrate,
        fmt::format("--grant '{}' is not valid: the name of one role is needed", *role));
  }
  return with_database_errors(Command::migrate, [&] {
    // However long it takes: another replica may be at it, or a table may be big.
    Connection connection(command_settings(Command::migrate, words.options, Millis{0}));
    if (words.has("dry-run")) return dry_run(connection, role);
    const int applied = migrate(connection, [](const Migration& migration) {
      fmt::print("applied {}\n", migration.name);
      std::fflush(stdout);
    });
    if (applied == 0) {
      fmt::print("nothing to do: the schema is version {}\n", latest_version());
    } else {
      fmt::print("the schema is version {}\n", latest_version());
    }
    if (role) {
      grant(connection, *role);
      fmt::print("granted to {}\n", printable(*role));
    }
    return ExitCode::ok;
  });
}

}  // namespace pgforeman
