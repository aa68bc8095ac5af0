#include "options/libpq_variables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/conninfo_values.h"
#include "options/conninfo.h"
#include "options/conninfo_mistakes.h"
#include "options/value.h"

namespace pgforeman {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 11> kVariables = {
    {{"PGHOST", "host"},
     {"PGPORT", "port"},
     {"PGDATABASE", "dbname"},
     {"PGUSER", "user"},
     {"PGSSLMODE", "sslmode"},
     {"PGCHANNELBINDING", "channel_binding"},
     {"PGGSSENCMODE", "gssencmode"},
     {"PGTARGETSESSIONATTRS", "target_session_attrs"},
     {"PGCONNECT_TIMEOUT", "connect_timeout"},
     {"PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"},
     {"PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"}}};

std::optional<std::string> problem_of(std::string_view variable, std::string_view keyword,
                                      const std::string& value) {
  if (variable == "PGPORT") {
    if (are_ports(value)) return std::nullopt;
    if (is_service_link(value)) {
      return "is a service link, which Kubernetes sets for a Service, and no port: set it to a "
             "number such as 5432, and enableServiceLinks: false in the pod's spec";
    }
    return "must be a port: a number from 1 to 65535";
  }
  if (variable == "PGHOST") return host_problem(value);
  if (variable == "PGDATABASE" || variable == "PGUSER") {
    if (value.find("://") != std::string::npos) {
      return "is an address: set PGFOREMAN_DATABASE_URL to it";
    }
    if (value != without_blanks_around(value)) return "begins or ends in a blank or a line end";
    return std::nullopt;
  }
  return value_problem(keyword, value);
}

}  // namespace

std::vector<std::string> libpq_variable_mistakes(const Environment& environment,
                                                 const std::string& conninfo) {
  std::vector<std::string> mistakes;
  const auto given = parse_conninfo(conninfo);
  for (const auto& [variable, keyword] : kVariables) {
    const std::string value(value_in(environment, variable));
    if (value.empty() || !given || given->count(std::string(keyword)) > 0) continue;
    const auto problem = problem_of(variable, keyword, value);
    if (!problem) continue;
    const bool hidden = value.find("://") != std::string::npos && !is_service_link(value);
    mistakes.push_back(
        fmt::format("{}{}: {}", variable, hidden ? "" : "=" + shown(value), *problem));
  }
  return mistakes;
}

std::optional<std::string> unread_address(const Environment& environment) {
  for (const std::string_view place : {"PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"}) {
    if (!value_in(environment, place).empty()) return std::nullopt;
  }
  constexpr std::array<std::string_view, 11> kNames = {"DATABASE_URL",
                                                       "DATABASE_URL_FILE",
                                                       "POSTGRES_URL",
                                                       "POSTGRESQL_URL",
                                                       "PG_URL",
                                                       "DB_URL",
                                                       "DATABASE_PRIVATE_URL",
                                                       "JDBC_DATABASE_URL",
                                                       "SPRING_DATASOURCE_URL",
                                                       "SUPABASE_DB_URL",
                                                       "SQLALCHEMY_DATABASE_URI"};
  for (const std::string_view name : kNames) {
    if (!value_in(environment, name).empty()) return std::string(name);
  }
  return std::nullopt;
}

}  // namespace pgforeman
