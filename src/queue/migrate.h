#pragma once
// Installs and upgrades the schema: numbered SQL files, each applied once in its own transaction
// under one advisory lock, so that every replica may run it at the same time. Fork: either.

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "queue/connection.h"

namespace pgforeman {

struct Migration {
  int version;              ///< 1, 2, 3 ... without gaps
  std::string_view name;    ///< the file's name without ".sql"
  std::string_view digest;  ///< MD5 of `sql`, in hexadecimal
  std::string_view sql;
};

/// The migrations inside this binary, in their order.
std::span<const Migration> migrations();

int latest_version();

/// The schema that a database has.
struct InstalledSchema {
  int version = 0;        ///< the latest migration that was applied; 0: none
  std::string different;  ///< the first applied migration with another text than here, or empty
  std::string leftovers;  ///< the tables of a schema with version 0, or empty
};

/// Reads the schema in the open transaction, if there is one. Throws DatabaseError (permission if
/// the role may not read it).
[[nodiscard]] InstalledSchema installed_schema(Connection& connection);

/// Returns why this binary cannot work with `installed`, and what to do; empty if it can.
std::string schema_mismatch(const InstalledSchema& installed);

/// Returns the statements that apply `migration`, as text for a person or psql.
std::string migration_script(const Migration& migration);

/// Returns the migrations that `installed` lacks. Throws DatabaseError::schema for a schema that
/// this binary cannot upgrade: newer, of another development version, or with leftovers.
std::span<const Migration> missing_migrations(const InstalledSchema& installed);

/// Applies the missing migrations, calls `applied` after each commit, returns how many this call
/// applied. Throws DatabaseError: `schema` as missing_migrations(), `permission` for a schema of
/// another role. The connection should have no statement timeout and no watchdog: waiting for the
/// lock and changing a big table take long.
int migrate(Connection& connection, const std::function<void(const Migration&)>& applied);

}  // namespace pgforeman
