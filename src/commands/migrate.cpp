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
#include "queue/grants.h"
#include "queue/schema_owner.h"

namespace pgforeman {

namespace {

constexpr std::string_view kMigrateHelp =
    R"(Usage: pgforeman migrate [--grant ROLE [--as PART]] [--dry-run]

Installs the schema `pgforeman` in the database, or brings it up to date. Each migration is one
transaction, and all of them run under one lock: every replica may run this at once.

Exit codes:
  0   the schema is this version's (also: there was nothing to do)
  64  a word of this command is wrong
  69  the database cannot be reached, or refused
  76  the schema is newer than this pgforeman, was installed by another development version,
      or has tables but no version: the text says what to do
  78  an option is wrong
)";

constexpr std::array kMigrateFlags = {
    CommandFlag{"grant", "ROLE", "then give this role what it needs for its part, and no more"},
    CommandFlag{"as", "PART",
                "producer (sends), worker (runs a fleet, the default), operator (works on dead "
                "letters) or monitor (counts)"},
    CommandFlag{"dry-run", "", "print the SQL that would be run, and change nothing"}};

// PostgreSQL takes this word for all roles, however it is quoted.
constexpr std::string_view kEverybody = "public";

/// To which role what is to be granted.
struct Grant {
  std::string role;
  Part part = Part::worker;
};

ExitCode dry_run(Connection& connection, const std::optional<Grant>& wanted) {
  const auto missing = missing_migrations(installed_schema(connection));
  for (const Migration& migration : missing) fmt::print("{}\n", migration_script(migration));
  if (missing.empty()) {
    fmt::print("-- nothing to do: the schema is version {}\n", latest_version());
  }
  if (wanted) fmt::print("{}", grants_script(connection, wanted->role, wanted->part));
  return ExitCode::ok;
}

/// What --grant and --as say. Throws WrongUsage.
std::optional<Grant> read_grant(const CommandWords& words) {
  const auto role = words.value("grant"), part = words.value("as");
  if (part && !role) throw WrongUsage("--as is not valid without --grant ROLE");
  if (!role) return std::nullopt;
  if (role->empty() || *role == kEverybody) {
    throw WrongUsage(
        fmt::format("--grant '{}' is not valid: the name of one role is needed", *role));
  }
  const auto known = part ? part_of(*part) : Part::worker;
  if (!known) {
    throw WrongUsage(fmt::format("--as '{}' is not valid: producer, worker, operator or monitor",
                                 printable(*part)));
  }
  return Grant{*role, *known};
}

ExitCode run_migrate(const CommandWords& words) {
  refuse_positionals(words);
  const std::optional<Grant> wanted = read_grant(words);
  // However long it takes: another replica may be at it, or a table may be big.
  Connection connection(command_settings(words, Millis{0}));
  if (words.has("dry-run")) return dry_run(connection, wanted);
  if (const auto pid = migration_lock_holder(connection)) {
    complain(Command::migrate,
             fmt::format("waiting for the lock of migrations, which the server process {0} holds "
                         "(select * from pg_stat_activity where pid = {0})",
                         *pid));
  }
  const int applied = migrate(connection, [](const Migration& migration) {
    fmt::print("applied {}\n", migration.name);
    std::fflush(stdout);
  });
  fmt::print("{}the schema is version {}\n", applied == 0 ? "nothing to do: " : "",
             latest_version());
  if (wanted) {
    grant(connection, wanted->role, wanted->part);
    fmt::print("granted to {}\n", printable(wanted->role));
  }
  return ExitCode::ok;
}

}  // namespace

ExitCode command_migrate(Args args) {
  return run_command(Command::migrate, args, kMigrateFlags, kMigrateHelp, run_migrate);
}

}  // namespace pgforeman
