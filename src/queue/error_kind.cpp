#include "queue/error_kind.h"

namespace pgforeman {

namespace {
using Kind = DatabaseError::Kind;
}

Kind kind_of(std::string_view state) {
  const std::string_view group = state.substr(0, 2);
  // 57P0x: shut down, crashed, starting, dropped, idle too long; 25P03: idle in a transaction.
  if (group == "08" || state.substr(0, 4) == "57P0" || state == "25P03") return Kind::connection;
  if (state == "25006") return Kind::read_only;
  // No such schema, table, function, column or type: the schema is missing or of another version.
  for (const char* each : {"3F000", "42P01", "42883", "42703", "42704"}) {
    if (state == each) return Kind::schema;
  }
  if (state == "42501" || group == "28") return Kind::permission;
  if (state == "55P03") return Kind::locked;
  if (state == "PF001") return Kind::transient;  // pgforeman.claim: a lease is lost
  // 40 rollbacks, 53 resources, 57014 canceled (statement_timeout), 58 system, XX internal.
  if (group == "40" || group == "53" || group == "58" || group == "XX" || state == "57014") {
    return Kind::transient;
  }
  return Kind::rejected;
}

bool is_of_row(std::string_view state) {
  if (state == "XX001" || state == "XX002") return true;  // damaged data, a damaged index
  const Kind kind = kind_of(state);
  return kind != Kind::transient && kind != Kind::locked && kind != Kind::connection;
}

std::string one_line(std::string_view text) {
  std::string out, gap;
  for (const char c : text) {
    if (c == '\n') {
      gap = "; ";
    } else if (c == ' ' || c == '\t' || c == '\r') {
      if (gap.empty()) gap = " ";
    } else {
      if (!out.empty()) out += gap;
      out += c;
      gap.clear();
    }
  }
  return out;
}

DatabaseError to_database_error(std::string_view sqlstate, std::string_view server_text) {
  std::string_view primary = server_text.substr(0, server_text.find('\n'));
  // Cuts off "ERROR:  ". The word may be translated; libpq always adds the two spaces.
  if (const auto colon = primary.find(":  "); colon != std::string_view::npos) {
    primary.remove_prefix(colon + 3);
  }
  const std::string said = one_line(primary);
  std::string what = said;
  const Kind kind = kind_of(sqlstate);
  if (sqlstate == "22P05") {
    what += " (jsonb cannot hold \\u0000, and only a UTF8 database can hold every character)";
  } else if (sqlstate == "57014") {
    what = "the database canceled a statement: " + what;
  } else if (kind == Kind::schema) {
    what = "the queue's schema is not installed or is of another version (" + what +
           "): run `pgforeman migrate`";
  } else if (sqlstate == "42501" && said.starts_with("permission denied for database")) {
    what += " (to make the schema a role needs CREATE on the database)";
  } else if (sqlstate == "42501" && !said.starts_with("row level security")) {  // has its advice
    what +=
        " (`pgforeman migrate --grant ROLE --as producer|worker|operator|monitor`, run as the "
        "schema's owner, gives a role its rights)";
  }
  return DatabaseError(kind, what, said);
}

}  // namespace pgforeman
