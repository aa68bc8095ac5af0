#pragma once
// Whose the schema is. Its owner can replace every function in it, which fleets and senders then
// run under their own roles: a schema of another role is refused. Fork: either.

#include <optional>

#include "queue/connection.h"

namespace pgforeman {

/// Begins a transaction that changes the schema: one at a time, over all replicas and versions of
/// pgforeman, with a search_path that finds PostgreSQL's own objects only.
inline constexpr const char* kBeginLocked =
    "begin isolation level read committed;\n"
    "set local search_path = pg_catalog, pg_temp;\n"
    // Transaction-level, so that it is right behind a transaction pooler too. The number is
    // arbitrary and must never change: releases of different age wait for each other by it.
    "select pg_catalog.pg_advisory_xact_lock(7463218905117346101)";

/// The server process that holds that lock, if one does: another migration, or any role that can
/// connect. Throws DatabaseError.
std::optional<int> migration_lock_holder(Connection& connection);

/// Throws DatabaseError::permission if the schema, or an object in it, belongs to a role that is
/// neither this session's, nor one that it is a member of, nor a superuser. No schema is fine.
void check_schema_owner(Connection& connection);

/// For sessions that run what is in the schema: the same of the schema alone, where this session's
/// role is a superuser, whose rights the schema's owner would gain. (A role with the rights of a
/// fleet has none that its grantor lacks.)
void check_owner_for_superuser(Connection& connection);

/// The same as check_schema_owner(), in the transaction that is open; then acts as the schema's
/// owner until its end, so that all objects belong to one role.
void become_schema_owner(Connection& connection);

}  // namespace pgforeman
