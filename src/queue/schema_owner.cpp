#include "queue/schema_owner.h"

#include <pqxx/result>

#include "queue/connection_impl.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

/// Selects `mine`, this session's role and those that it is a member of, and `trusted`, also
/// superusers. pg_has_role() would call a superuser a member of all roles.
constexpr const char* kTrustedRoles =
    "with recursive mine (oid) as ("
    " select r.oid from pg_catalog.pg_roles r where r.rolname = current_user"
    " union"
    " select m.roleid from pg_catalog.pg_auth_members m join mine on mine.oid = m.member),"
    " trusted (oid) as ("
    " select oid from mine union select r.oid from pg_catalog.pg_roles r where r.rolsuper"
    " union select r.oid from pg_catalog.pg_roles r, pg_catalog.pg_database d"
    " where r.rolname = 'pg_database_owner' and d.datname = pg_catalog.current_database()"
    " and d.datdba in (select oid from mine)) ";

}  // namespace

std::optional<int> migration_lock_holder(Connection& connection) {
  const auto rows = connection.impl().exec(
      "select l.pid from pg_catalog.pg_locks l"
      " where l.locktype = 'advisory' and l.granted and l.objsubid = 1"
      " and (l.classid::bigint << 32 | l.objid::bigint) = 7463218905117346101"
      " and l.database = (select d.oid from pg_catalog.pg_database d"
      " where d.datname = pg_catalog.current_database()) limit 1");
  if (rows.empty()) return std::nullopt;
  return rows[0][0].as<int>();
}

void check_schema_owner(Connection& connection) {
  const auto strange = connection.impl().exec(
      std::string(kTrustedRoles) +
      "select o.what, pg_catalog.pg_get_userbyid(o.owner), current_user from ("
      " select 1, 'the schema pgforeman', n.nspowner from pg_catalog.pg_namespace n"
      " where n.nspname = 'pgforeman'"
      " union all select 2, 'pgforeman.' || c.relname, c.relowner from pg_catalog.pg_class c"
      " join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'pgforeman'"
      " union all select 3, 'the function pgforeman.' || p.proname, p.proowner"
      " from pg_catalog.pg_proc p"
      " join pg_catalog.pg_namespace n on n.oid = p.pronamespace where n.nspname = 'pgforeman'"
      " union all select 4, 'the operator pgforeman.' || o.oprname, o.oprowner"
      " from pg_catalog.pg_operator o"
      " join pg_catalog.pg_namespace n on n.oid = o.oprnamespace where n.nspname = 'pgforeman'"
      " union all select 5, 'the type pgforeman.' || t.typname, t.typowner"
      " from pg_catalog.pg_type t"
      " join pg_catalog.pg_namespace n on n.oid = t.typnamespace where n.nspname = 'pgforeman'"
      ") o (place, what, owner) where o.owner not in (select oid from trusted)"
      " order by o.place, o.what limit 1");
  if (strange.empty()) return;  // proves: P36 owner
  const std::string what = strange[0][0].c_str(), owner = strange[0][1].c_str();
  throw DatabaseError(
      DatabaseError::Kind::permission,
      what + " belongs to role " + quoted_identifier(owner) + ", not to " +
          quoted_identifier(strange[0][2].c_str()) +
          ": its owner could replace what fleets and senders run. Run `pgforeman migrate` as " +
          quoted_identifier(owner) +
          " or as a member of it, or take it over (alter schema pgforeman owner to ...) after "
          "making sure that nothing strange is in it");
}

void check_owner_for_superuser(Connection& connection) {
  const auto owner = connection.impl().exec(
      "select pg_catalog.pg_get_userbyid(n.nspowner)"
      " from pg_catalog.pg_namespace n"
      " join pg_catalog.pg_roles o on o.oid operator(pg_catalog.=) n.nspowner"
      " join pg_catalog.pg_roles me on me.rolname operator(pg_catalog.=) current_user"
      " join pg_catalog.pg_database d"
      "  on d.datname operator(pg_catalog.=) pg_catalog.current_database()"
      " where n.nspname operator(pg_catalog.=) 'pgforeman' and me.rolsuper and not o.rolsuper"
      " and o.oid operator(pg_catalog.<>) d.datdba and o.rolname::text <> 'pg_database_owner'");
  if (owner.empty()) return;
  throw DatabaseError(DatabaseError::Kind::permission,
                      "the schema pgforeman belongs to role " +
                          quoted_identifier(owner[0][0].c_str()) +
                          ", which would gain a superuser's rights by what this session runs: "
                          "connect as a role that `pgforeman migrate --grant` gave its rights");
}

void become_schema_owner(Connection& connection) {
  check_schema_owner(connection);
  auto& session = connection.impl();
  const auto owner =
      session.exec(std::string(kTrustedRoles) +
                   "select pg_catalog.pg_get_userbyid(n.nspowner) from pg_catalog.pg_namespace n"
                   " where n.nspname = 'pgforeman' and n.nspowner in (select oid from mine)"
                   " and pg_catalog.pg_get_userbyid(n.nspowner) <> current_user");
  if (!owner.empty()) session.exec("set local role " + quoted_identifier(owner[0][0].c_str()));
}

}  // namespace pgforeman
