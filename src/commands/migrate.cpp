// pgforeman migrate: installs or upgrades the queue's schema.

#include "queue/migrate.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "commands/commands.h"
#include "commands/database_command.h"
#include "commands/text_table.h"
#include "queue/database_error.h"

namespace pgforeman {

namespace {

constexpr std::string_view kMigrateHelp =
    "Usage: pgforeman migrate [--dry-run]\n"
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
    FlagHelp{"dry-run", "", "print the SQL that would be run, and change nothing"}};

ExitCode dry_run(Connection& connection) {
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
  return with_database_errors(Command::migrate, [&] {
    // However long it takes: another replica may be at it, or a table may be big.
    Connection connection(command_settings(Command::migrate, words.options, Millis{0}));
    if (words.has("dry-run")) return dry_run(connection);
    const int applied = migrate(connection, [](const Migration& migration) {
      fmt::print("applied {}\n", migration.name);
      std::fflush(stdout);
    });
    if (applied == 0) {
      fmt::print("nothing to do: the schema is version {}\n", latest_version());
    } else {
      fmt::print("the schema is version {}\n", latest_version());
    }
    return ExitCode::ok;
  });
}

}  // namespace pgforeman
