#include "queue/migrate.h"

#include <pqxx/result>

#include "queue/connection_impl.h"
#include "queue/schema_owner.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;

/// By default every role may execute a function: these statements revoke that. The next grant gives
/// a role the rights that it needs.
constexpr const char* kRevoke =
    "revoke all on all functions in schema pgforeman from public;\n"  // proves: P36 rights
    "revoke create on schema pgforeman from public;\n";

std::string record_of(const Migration& migration) {
  return "insert into pgforeman.schema_version (version, name, digest) values (" +
         std::to_string(migration.version) + ", '" + std::string(migration.name) + "', '" +
         std::string(migration.digest) + "')";
}

std::string tables_of(Connection::Impl& session) {
  const auto rows = session.exec(
      "select pg_catalog.string_agg(c.relname, ', ' order by c.relname)"
      " from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
      " where n.nspname = 'pgforeman' and c.relkind = 'r'");
  return rows[0][0].is_null() ? std::string() : std::string(rows[0][0].c_str());
}

/// Applies a migration; false if another replica has applied it meanwhile.
bool apply(Connection& connection, const Migration& migration) {
  auto& session = connection.impl();
  Connection::Impl::Transaction transaction(session, kBeginLocked);
  become_schema_owner(connection);
  const bool missing = installed_schema(connection).version < migration.version;
  if (missing) {
    session.exec(std::string(migration.sql));
    session.exec(kRevoke + record_of(migration));
    // Another role may have created the schema since the check above.
    check_schema_owner(connection);
  }
  transaction.commit();
  return missing;
}

}  // namespace

int latest_version() {
  return migrations().back().version;
}

// Reads the catalog's tables: inside a transaction the cache of to_regclass() may lack what another
// replica has just committed.
InstalledSchema installed_schema(Connection& connection) {
  auto& session = connection.impl();
  // Read before the versions: a replica commits the first tables together with their version.
  const std::string tables = tables_of(session);
  const auto columns = session.exec(
      "select a.attname from pg_catalog.pg_class c"
      " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
      " join pg_catalog.pg_attribute a on a.attrelid = c.oid and not a.attisdropped"
      " where n.nspname = 'pgforeman' and c.relname = 'schema_version'"
      " and a.attname in ('version', 'digest')");
  InstalledSchema installed;
  if (!columns.empty()) {
    const bool has_digests = columns.size() == 2;
    const auto rows =
        session.exec(std::string("select version, name, ") + (has_digests ? "digest" : "''") +
                     " from pgforeman.schema_version order by version");
    for (const auto& row : rows) {
      installed.version = row[0].as<int>();
      if (installed.version > latest_version() || !installed.different.empty()) continue;
      const Migration& ours = migrations()[static_cast<std::size_t>(installed.version) - 1];
      if (ours.digest != row[2].c_str()) installed.different = row[1].c_str();
    }
  }
  if (installed.version == 0) installed.leftovers = tables;
  return installed;
}

std::string schema_mismatch(const InstalledSchema& installed) {
  const std::string known = std::to_string(latest_version());
  const std::string version = std::to_string(installed.version);
  if (!installed.leftovers.empty()) {
    return "the schema pgforeman holds tables (" + installed.leftovers +
           ") but its schema_version has no rows, as after a restore without data or with another "
           "program's tables: restore the rows of schema_version, or, if nothing in it is needed, "
           "drop schema pgforeman cascade; then run `pgforeman migrate`";
  }
  if (installed.version == 0) {
    return "the queue's schema is not installed in this database: run `pgforeman migrate`";
  }
  if (installed.version > latest_version()) {
    return "the queue's schema is version " + version +
           ", newer than this pgforeman, which knows "
           "up to " +
           known + ": run a pgforeman at least as new as the one that migrated it";
  }
  if (!installed.different.empty()) {
    return "the queue's schema was installed by another development version of pgforeman "
           "(migration " +
           installed.different +
           " differs), which this one cannot upgrade: work "
           "off or save its messages, drop schema pgforeman cascade, run `pgforeman migrate`";
  }
  if (installed.version < latest_version()) {
    return "the queue's schema is version " + version + ", this pgforeman needs " + known +
           ": run `pgforeman migrate`";
  }
  return {};
}

std::string migration_script(const Migration& migration) {
  return "-- " + std::string(migration.name) + "\n" + kBeginLocked + ";\n" +
         std::string(migration.sql) + kRevoke + record_of(migration) + ";\ncommit;\n";
}

std::span<const Migration> missing_migrations(const InstalledSchema& installed) {
  const bool too_new = installed.version > latest_version();
  if (too_new || !installed.different.empty() || !installed.leftovers.empty()) {
    throw DatabaseError(Kind::schema, schema_mismatch(installed));
  }
  return migrations().subspan(static_cast<std::size_t>(installed.version));
}

int migrate(Connection& connection, const std::function<void(const Migration&)>& applied) {
  check_schema_owner(connection);
  int count = 0;
  const auto missing = missing_migrations(installed_schema(connection));
  for (const Migration& migration : missing) {
    if (!apply(connection, migration)) continue;
    ++count;
    if (applied) applied(migration);
  }
  return count;
}

}  // namespace pgforeman
