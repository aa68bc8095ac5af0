#include "queue/grants.h"

#include <pqxx/result>
#include <vector>

#include "queue/connection_impl.h"
#include "queue/schema_owner.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;

/// A right, and the expression that is true if role $1 has it.
struct Right {
  std::string grant;  ///< "select on pgforeman.message"
  std::string check;
};

/// The functions that each part may execute, by name; a worker may execute all.
constexpr const char* kSendFunctions = "'send', 'send_batch'";
constexpr const char* kMonitorFunctions =
    "'counts', 'peek', 'queues', 'row_security_problem', 'from_us', 'to_us'";
constexpr const char* kOperatorFunctions =
    "'advance_ids', 'announce', 'dead_count', 'dead_is_meant', 'dead_list', 'dead_purge',"
    " 'dead_retry', 'dead_select', 'next_place'";

/// The columns that a monitor may read: none that a message carries or that may quote it.
constexpr const char* kMonitoredColumns =
    "id, claims, visible_at, enqueued_at, claims_base, place, attempt, crashes, state, queue, "
    "due_at";
constexpr const char* kMonitoredDeadColumns =
    "id, claims, enqueued_at, died_at, attempt, crashes, priority, queue, reason";

Right table_right(const std::string& privilege, const std::string& table) {
  return {privilege + " on pgforeman." + table,
          "pg_catalog.has_table_privilege($1, 'pgforeman." + table + "', '" + privilege + "')"};
}

Right column_right(const std::string& columns, const std::string& table) {
  return {"select (" + columns + ") on pgforeman." + table,
          "pg_catalog.has_column_privilege($1, 'pgforeman." + table + "', '" +
              columns.substr(0, columns.find(',')) + "', 'select')"};
}

/// Returns a condition on pg_proc p for the functions of `part`.
std::string functions_of(Part part) {
  if (part == Part::worker) return "true";
  std::string names = part == Part::monitor ? kMonitorFunctions : kSendFunctions;
  if (part == Part::operate) names = names + ", " + kMonitorFunctions + ", " + kOperatorFunctions;
  return "p.proname in (" + names + ")";
}

[[noreturn]] void refuse(const std::string& role, const std::string& why) {
  throw DatabaseError(Kind::permission,
                      "nothing was granted to " + quoted_identifier(role) + ": " + why);
}

void add_table_rights(std::vector<Right>& rights, Part part, bool has_maintain) {
  if (part == Part::producer) return;
  rights.push_back(table_right("select", "schema_version"));
  if (part == Part::monitor) {
    rights.push_back(column_right(kMonitoredColumns, "message"));
    rights.push_back(column_right(kMonitoredDeadColumns, "dead_message"));
    return;
  }
  rights.push_back({"usage on sequence pgforeman.message_id_seq",
                    "pg_catalog.has_sequence_privilege($1, 'pgforeman.message_id_seq', 'usage')"});
  for (const char* privilege : {"select", "insert", "update", "delete"}) {
    rights.push_back(table_right(privilege, "dead_message"));
    const std::string word = privilege;
    if (part == Part::worker || word == "select" || word == "insert") {
      rights.push_back(table_right(privilege, "message"));
    }
  }
  // VACUUM can be granted from PostgreSQL 17 on; before, only the owner may do it.
  if (part == Part::worker && has_maintain) rights.push_back(table_right("maintain", "message"));
}

std::vector<Right> rights_of(Connection& connection, Part part) {
  auto& session = connection.impl();
  std::vector<Right> rights = {
      {"usage on schema pgforeman", "pg_catalog.has_schema_privilege($1, 'pgforeman', 'usage')"}};
  const auto functions = session.exec(
      "select pg_catalog.format('%I.%I(%s)', n.nspname, p.proname,"
      " pg_catalog.pg_get_function_identity_arguments(p.oid)), p.oid"
      " from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
      " where n.nspname = 'pgforeman' and " +
      functions_of(part) + " order by 1");
  for (const auto& row : functions) {
    rights.push_back({"execute on function " + std::string(row[0].c_str()),
                      "pg_catalog.has_function_privilege($1, " + std::string(row[1].c_str()) +
                          "::oid, 'execute')"});
  }
  const auto version = session.exec("select pg_catalog.current_setting('server_version_num')::int");
  add_table_rights(rights, part, version[0][0].as<int>() >= 170000);
  return rights;
}

void check_role(Connection& connection, const std::string& role) {
  const auto known =
      connection.impl().exec("select from pg_catalog.pg_roles where rolname = $1", {role});
  if (known.empty()) {
    throw DatabaseError(Kind::permission, "there is no role " + quoted_identifier(role));
  }
}

std::string statements(const std::vector<Right>& rights, const std::string& role) {
  std::string script;
  for (const Right& right : rights) {
    script += "grant " + right.grant + " to " + quoted_identifier(role) + ";\n";
  }
  return script;
}

/// Checks the result, as PostgreSQL only warns if the session's role may not grant a right.
void check_granted(Connection& connection, const std::vector<Right>& rights,
                   const std::string& role) {
  std::string all;
  for (const Right& right : rights) all += (all.empty() ? "" : " and ") + right.check;
  const auto granted = connection.impl().exec("select " + all, {role});
  if (!granted[0][0].as<bool>()) refuse(role, "only the owner of the schema can");
}

/// Refuses a role that has rights of another part: `part` would not be all that it may do. (They
/// are not revoked: they may be intended, and an owner needs its rights.)
void check_nothing_else(Connection& connection, const std::string& role, Part part) {
  if (part == Part::worker) return;
  const std::string tables =
      part == Part::operate ? "('update'), ('delete')" : "('insert'), ('update'), ('delete')";
  const auto more = connection.impl().exec(
      "select not r.rolsuper and not pg_catalog.pg_has_role(r.oid, n.nspowner, 'USAGE') and ("
      " exists (select from pg_catalog.pg_proc p where p.pronamespace = n.oid and not (" +
          functions_of(part) +
          ") and pg_catalog.has_function_privilege(r.oid, p.oid, 'execute'))"
          " or exists (select from (values " +
          tables +
          ") w (privilege)"
          "  where pg_catalog.has_table_privilege(r.oid, 'pgforeman.message', w.privilege)))"
          " from pg_catalog.pg_roles r, pg_catalog.pg_namespace n"
          " where r.rolname = $1 and n.nspname = 'pgforeman'",
      {role});
  if (!more[0][0].as<bool>()) return;
  const std::string name = quoted_identifier(role);
  refuse(role,
         "it has rights that this part does not need, maybe of an earlier grant. Take them away "
         "(revoke all on all tables in schema pgforeman from " +
             name + "; revoke all on all functions in schema pgforeman from " + name +
             ") and grant again");
}

void check_row_security(Connection& connection, const std::string& role, Part part) {
  if (part == Part::producer) return;  // the send functions run as their owner
  const auto hidden = connection.impl().exec(
      std::string("select pgforeman.row_security_problem($1, ") +
          (part == Part::monitor ? "array['r'])" : "array['r', 'a', 'w', 'd'])"),
      {role});
  if (!hidden[0][0].is_null()) refuse(role, hidden[0][0].c_str());
}

}  // namespace

std::optional<Part> part_of(std::string_view name) {
  for (const PartName& each : kParts) {
    if (each.name == name) return each.part;
  }
  return std::nullopt;
}

std::string grants_script(Connection& connection, const std::string& role, Part part) {
  check_role(connection, role);
  return std::string(kBeginLocked) + ";\n" + statements(rights_of(connection, part), role) +
         "commit;\n";
}

void grant(Connection& connection, const std::string& role, Part part) {
  check_role(connection, role);
  auto& session = connection.impl();
  Connection::Impl::Transaction transaction(session, kBeginLocked);
  become_schema_owner(connection);
  const std::vector<Right> rights = rights_of(connection, part);
  session.exec(statements(rights, role));
  check_granted(connection, rights, role);
  check_nothing_else(connection, role, part);
  check_row_security(connection, role, part);
  transaction.commit();
}

}  // namespace pgforeman
