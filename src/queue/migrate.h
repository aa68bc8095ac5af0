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

/// Those inside this binary, in their order.
std::span<const Migration> migrations();

int latest_version();

/// What a database holds.
struct InstalledSchema {
  int version = 0;        ///< the latest migration that was applied; 0: none
  std::string different;  ///< the first applied migration whose text is not this binary's, or empty
  std::string leftovers;  ///< version 0, but the schema is not empty: what is in it
};

/// In the transaction that is open, if one is. Throws DatabaseError (permission if the role may not
/// read it).
[[nodiscard]] InstalledSchema installed_schema(Connection& connection);

/// Why `installed` is not the schema that this binary works with, and what to do; empty if it is.
std::string schema_mismatch(const InstalledSchema& installed);

/// The statements that are run for `migration`, as text for a person or psql.
std::string migration_script(const Migration& migration);

/// The migrations that `installed` lacks. Throws DatabaseError::schema for a schema that this
/// binary cannot upgrade: newer, of another development version, or with leftovers.
std::span<const Migration> missing_migrations(const InstalledSchema& installed);

/// Applies what is missing, calls `applied` after each commit, returns how many were applied here.
/// Throws DatabaseError: `schema` as missing_migrations(), `permission` for a schema that belongs
/// to another role. The connection should have neither a statement timeout nor a watchdog: waiting
/// for the lock and work on a big table take long.
int migrate(Connection& connection, const std::function<void(const Migration&)>& applied);

}  // namespace pgforeman
