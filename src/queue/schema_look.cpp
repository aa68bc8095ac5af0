#include "queue/schema_look.h"

#include <pqxx/result>

#include "queue/queue.h"
#include "queue/session.h"

namespace pgforeman {

namespace {

// The functions that a fleet calls, and those that they call.
constexpr const char* kLook =
    "select not pg_catalog.pg_is_in_recovery()"
    " and pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'off'::text"
    " and (select pg_catalog.bool_and(pg_catalog.has_table_privilege("
    "  t.name::pg_catalog.regclass, r.name))"
    "  from (values ('pgforeman.message'), ('pgforeman.dead_message')) t (name),"
    "  (values ('select'), ('insert'), ('update'), ('delete')) r (name))"
    " and not exists ("
    "  select from pg_catalog.unnest('{announce,become_listener,claim,counts,"
    "end_done,ids_are_behind,last_lane,leave_listeners,lock_claimable,look,mark_of,"
    "release_token,renew,retry_delay,settle,sweep,tick,with_run}'::pg_catalog.name[]) f (name)"
    "  where not exists ("
    "   select from pg_catalog.pg_proc p"
    "   where p.pronamespace operator(pg_catalog.=) 'pgforeman'::pg_catalog.regnamespace::oid"
    "   and p.proname operator(pg_catalog.=) f.name"
    "   and pg_catalog.has_function_privilege(p.oid, 'execute')))";

}  // namespace

bool schema_and_rights_stand(Connection& connection) {
  try {
    Queue(connection, {}).check_schema();
    return connection.impl().call(kLook)[0][0].as<bool>();
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::connection) throw;
    return false;
  }
}

}  // namespace pgforeman
