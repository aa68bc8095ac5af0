#pragma once
// Checks which role owns the schema. The owner can replace its functions, which fleets and senders
// run under their own roles: a schema of another role is refused. Fork: either.

#include <optional>

#include "queue/connection.h"

namespace pgforeman {

/// Begins a transaction that changes the schema: one at a time, over all replicas and versions of
/// pgforeman. Its search_path finds only PostgreSQL's own objects.
inline constexpr const char* kBeginLocked =
    "begin isolation level read committed;\n"
    "set local search_path = pg_catalog, pg_temp;\n"
    // The lock ends with the transaction, so it works behind a transaction pooler too. Its number
    // is arbitrary and must never change: older and newer releases wait for each other by it.
    "select pg_catalog.pg_advisory_xact_lock(7463218905117346101)";

/// Returns the pid of the server process that holds this lock, if any: another migration, or any
/// role that can connect. Throws DatabaseError.
std::optional<int> migration_lock_holder(Connection& connection);

/// Throws DatabaseError::permission if the schema, or an object in it, has another owner than this
/// session's role, a role that it is a member of, or a superuser. A missing schema is accepted.
void check_schema_owner(Connection& connection);

/// Checks the schema alone, for sessions that run its functions. Throws only if this session has a
/// superuser role: the owner of the schema would gain its rights. (A role with the rights of a
/// fleet has none that its grantor lacks.)
void check_owner_for_superuser(Connection& connection);

/// Calls check_schema_owner() in the open transaction. Then acts as the schema's owner until the
/// end of the transaction, so that all objects belong to one role.
void become_schema_owner(Connection& connection);

}  // namespace pgforeman
