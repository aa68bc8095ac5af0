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

Installs the schema `pgforeman` in the database, or upgrades it. Each migration is one transaction,
and all of them run under one lock, so several replicas may run this at the same time.

Exit codes:
  0   the schema has the version of this pgforeman now, or had it already
  64  an argument or flag value is wrong
  69  the database cannot be reached, or refused
  76  the schema is newer than this pgforeman, was installed by another development version,
      or has tables but no version: the error says what to do
  78  an option is wrong
)";

constexpr std::array kMigrateFlags = {
    CommandFlag{"grant", "ROLE", "then grant this role only the rights that its part needs"},
    CommandFlag{"as", "PART",
                "producer (sends), worker (runs a fleet, the default), operator (works on dead "
                "letters) or monitor (counts)"},
    CommandFlag{"dry-run", "", "print the SQL that would be run, and change nothing"}};

// PostgreSQL takes this name for all roles, even in quotes.
constexpr std::string_view kAllRoles = "public";

/// A role and the part for which it gets rights.
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

/// Returns the values of --grant and --as. Throws WrongUsage.
std::optional<Grant> read_grant(const CommandWords& words) {
  const auto role = words.value("grant"), part = words.value("as");
  if (part && !role) throw WrongUsage("--as is not valid without --grant ROLE");
  if (!role) return std::nullopt;
  if (role->empty() || *role == kAllRoles) {
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
  // No statement timeout: another replica may hold the lock, or a table may be large.
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
