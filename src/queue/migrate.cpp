#include "queue/migrate.h"

#include <pqxx/result>

#include "queue/session.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;

// Transaction-level, so that it is right behind a transaction pooler too. The number is arbitrary
// and for ever: releases of different age must wait for each other.
constexpr const char* kTakeLock = "select pg_advisory_xact_lock(7463218905117346101)";
constexpr const char* kBegin = "begin isolation level read committed";

std::string record_of(const Migration& migration) {
  return "insert into pgforeman.schema_version (version, name) values (" +
         std::to_string(migration.version) + ", '" + std::string(migration.name) + "')";
}

// In the transaction that is open, if one is. Asks the catalog's tables: to_regclass() answers from
// a cache that inside a transaction may not yet know what another replica has just committed.
int look_up_version(Connection& connection) {
  const auto there = connection.impl().exec(
      "select exists (select from pg_catalog.pg_class c"
      " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
      " where n.nspname = 'pgforeman' and c.relname = 'schema_version')");
  if (!there[0][0].as<bool>()) return 0;
  return connection.impl()
      .exec("select coalesce(max(version), 0) from pgforeman.schema_version")[0][0]
      .as<int>();
}

/// True when it was applied here, false when somebody else had done it meanwhile.
bool apply(Connection& connection, const Migration& migration) {
  auto& session = connection.impl();
  session.run(kBegin);
  try {
    session.run(kTakeLock);
    const bool missing = look_up_version(connection) < migration.version;
    if (missing) {
      session.run(std::string(migration.sql));
      session.run(record_of(migration));
    }
    session.run("commit");
    return missing;
  } catch (const DatabaseError&) {
    session.rollback();
    throw;
  }
}

/// As an identifier, whatever it holds.
std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char letter : name) text += letter == '"' ? "\"\"" : std::string(1, letter);
  return text + "\"";
}

/// All that the role needs, in one transaction that is not committed yet.
std::string grants(Connection& connection, const std::string& role) {
  const auto known =
      connection.impl().exec("select from pg_catalog.pg_roles where rolname = $1", {role});
  if (known.empty()) throw DatabaseError(Kind::permission, "there is no role " + quoted(role));
  const std::string to = " to " + quoted(role) + ";\n";
  // Two that grant at once would both rewrite the same lines of the catalog.
  std::string script = std::string(kBegin) + ";\n" + kTakeLock + ";\n";
  // Everybody may call functions, unless the owner's default privileges say otherwise.
  script += "grant usage on schema pgforeman" + to +
            "grant execute on all functions in schema pgforeman" + to +
            "grant select on pgforeman.schema_version" + to +
            "grant select, insert, update, delete on pgforeman.message, pgforeman.dead_message" +
            to;
  // VACUUM can be granted from PostgreSQL 17 on; before, it is the owner's alone.
  const auto version =
      connection.impl().exec("select current_setting('server_version_num')::int")[0][0].as<int>();
  if (version >= 170000) script += "grant maintain on pgforeman.message" + to;
  return script;
}

/// Whether it has what grants() gives, in the transaction that is open.
bool may_all(Connection& connection, const std::string& role) {
  const auto granted = connection.impl().exec(
      "select has_schema_privilege($1, 'pgforeman', 'usage')"
      " and has_table_privilege($1, 'pgforeman.schema_version', 'select')"
      " and (select bool_and(has_table_privilege($1, 'pgforeman.message', p)"
      " and has_table_privilege($1, 'pgforeman.dead_message', p))"
      " from unnest(array['select', 'insert', 'update', 'delete']) p)"
      " and (select bool_and(has_function_privilege($1, f.oid, 'execute'))"
      " from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace"
      " where n.nspname = 'pgforeman')"
      " and case when current_setting('server_version_num')::int >= 170000"
      " then has_table_privilege($1, 'pgforeman.message', 'maintain') else true end",
      {role});
  return granted[0][0].as<bool>();
}

}  // namespace

int latest_version() {
  return migrations().back().version;
}

int installed_version(Connection& connection) {
  return look_up_version(connection);
}

std::string schema_mismatch(int installed) {
  const std::string known = std::to_string(latest_version());
  if (installed == 0) {
    return "the queue's schema is not installed in this database: run `pgforeman migrate`";
  }
  if (installed < latest_version()) {
    return "the queue's schema is version " + std::to_string(installed) +
           ", this pgforeman needs " + known + ": run `pgforeman migrate`";
  }
  return "the queue's schema is version " + std::to_string(installed) +
         ", newer than this pgforeman, which knows up to " + known +
         ": run a pgforeman at least as new as the one that migrated it";
}

std::string migration_script(const Migration& migration) {
  return "-- " + std::string(migration.name) + "\n" + kBegin + ";\n" + kTakeLock + ";\n" +
         std::string(migration.sql) + record_of(migration) + ";\ncommit;\n";
}

int migrate(Connection& connection, const std::function<void(const Migration&)>& applied) {
  const int installed = installed_version(connection);
  if (installed > latest_version()) throw DatabaseError(Kind::schema, schema_mismatch(installed));
  int count = 0;
  for (const Migration& migration : migrations()) {
    if (migration.version <= installed || !apply(connection, migration)) continue;
    ++count;
    if (applied) applied(migration);
  }
  return count;
}

std::string grants_script(Connection& connection, const std::string& role) {
  return grants(connection, role) + "commit;\n";
}

void grant(Connection& connection, const std::string& role) {
  auto& session = connection.impl();
  const std::string begun = grants(connection, role);
  try {
    session.run(begun);
    // To grant what is not one's own to give is a mere warning.
    if (!may_all(connection, role)) {
      throw DatabaseError(Kind::permission, "nothing was granted to " + quoted(role) +
                                                ": only the owner of the schema can");
    }
    session.run("commit");
  } catch (const DatabaseError&) {
    session.rollback();
    throw;
  }
}

}  // namespace pgforeman
