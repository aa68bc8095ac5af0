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
  int version;            ///< 1, 2, 3 ... without gaps
  std::string_view name;  ///< the file's name without ".sql"
  std::string_view sql;
};

/// Those inside this binary, in their order.
std::span<const Migration> migrations();

int latest_version();

/// 0 when nothing is installed. Throws DatabaseError (a role without the right to look:
/// permission).
int installed_version(Connection& connection);

/// Why a schema of version `installed` is not the one this binary works with, and what to do.
std::string schema_mismatch(int installed);

/// What is run for `migration`, as text for a person or psql.
std::string migration_script(const Migration& migration);

/// Applies what is missing, calls `applied` after each commit, returns how many were applied here.
/// Throws DatabaseError::schema for a schema newer than this binary. The connection should have
/// neither a statement timeout nor a watchdog: waiting for the lock and work on a big table take
/// long.
int migrate(Connection& connection, const std::function<void(const Migration&)>& applied);

/// The rights that `role` needs to run a fleet, to send and to work on dead letters, and no others,
/// as statements of one transaction for a person or psql. Throws DatabaseError.
std::string grants_script(Connection& connection, const std::string& role);

/// Grants that, all or nothing; every replica may do so at once. Throws DatabaseError, also when
/// there is no such role, or the connection's own may not grant all of it.
void grant(Connection& connection, const std::string& role);

}  // namespace pgforeman
