#include "options/conninfo.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "options/conninfo_mistakes.h"
#include "options/read_file.h"
#include "options/value.h"
#include "text/conninfo_values.h"
#include "text/quantity.h"

namespace pgforeman {
namespace {

constexpr std::size_t kMaxUrlFileBytes = 64 * 1024;

bool is_url(std::string_view conninfo) {
  return conninfo.starts_with("postgresql://") || conninfo.starts_with("postgres://");
}

/// True for ports as libpq takes them: numbers, one for each host or one for all hosts.
bool are_ports(std::string_view text) {
  while (true) {
    const std::string_view port = text.substr(0, text.find(','));
    const std::int64_t number = parse_number(port).value_or(0);
    if (!port.empty() && (number < 1 || number > 65535)) return false;
    if (port.size() == text.size()) return true;
    text.remove_prefix(port.size() + 1);
  }
}

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

std::optional<std::string> variable_problem(std::string_view variable, std::string_view keyword,
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
    if (value != trimmed(value)) return "begins or ends in a blank or a line end";
    return std::nullopt;
  }
  return value_problem(keyword, value);
}

}  // namespace

std::optional<std::string> conninfo_problem(const std::string& conninfo) {
  if (auto problem = shape_problem(conninfo)) return problem;
  const auto values = parse_conninfo(conninfo);
  if (!values) {
    if (auto problem = foreign_parameter(conninfo)) return problem;
    return "is neither a postgresql:// URL nor keyword=value pairs that libpq understands (its "
           "value is not shown; in a URL, special characters of a password must be "
           "percent-encoded)";
  }
  // If a password has a slash that is not encoded, libpq takes the part before it for the port, and
  // quotes that part in its error when it connects.
  const auto ports = values->find("port");
  if (ports != values->end() && !are_ports(ports->second)) {
    if (ports->second.find(':') != std::string::npos && is_url(conninfo)) {
      return "has more than one colon after its host (its value is not shown; in a URL, an IPv6 "
             "address is in brackets, and special characters of a password must be "
             "percent-encoded)";
    }
    return "has a port that is not a number from 1 to 65535 (its value is not shown; in a URL, "
           "special characters of a password must be percent-encoded)";
  }
  // An @ in a password makes its rest part of the host, or of the database name after a slash.
  for (const char* keyword : {"host", "dbname"}) {
    const auto value = values->find(keyword);
    const auto at = value == values->end() ? std::string::npos : value->second.find('@');
    const bool abstract_socket = at == 0;
    if (at != std::string::npos && !abstract_socket && is_url(conninfo)) {
      return fmt::format(
          "has an @ in its {} (its value is not shown; in a URL, special characters of a password "
          "must be percent-encoded)",
          keyword);
    }
  }
  return values_problem(*values);
}

DatabasePlace database_place(const std::string& conninfo) {
  auto values = parse_conninfo(conninfo).value_or(ConninfoValues{});
  std::erase_if(values, [](const auto& each) { return each.second.empty(); });
  values.merge(conninfo_defaults());
  DatabasePlace place{values["host"], values["port"], values["dbname"]};
  if (place.host.empty()) place.host = values["hostaddr"];
  if (place.host.empty()) place.host = values["service"];
  if (place.name.empty()) place.name = values["user"];  // libpq's default
  return place;
}

std::string with_password(const std::string& conninfo, const std::string& password) {
  auto values = parse_conninfo(conninfo);
  if (!values || !values->emplace("password", password).second) return conninfo;
  return conninfo_text(*values);
}

Parsed<std::string> read_conninfo_file(const std::string& path) {
  using Result = Parsed<std::string>;
  Parsed<std::string> text = read_text_file(path, kMaxUrlFileBytes);
  if (!text) return text;
  if (text.value->starts_with("\xff\xfe") || text.value->starts_with("\xfe\xff")) {
    return Result::wrong("is in UTF-16, as some editors of Windows write: save it as UTF-8");
  }
  std::string conninfo(trimmed(*text.value));
  if (conninfo.empty()) return Result::wrong("is empty; it must hold what DATABASE_URL would");
  if (conninfo.find('\0') != std::string::npos) return Result::wrong("holds a NUL byte");
  if (conninfo.find('\n') != std::string::npos) return Result::wrong("holds more than one line");
  if (const auto problem = conninfo_problem(conninfo)) return Result::wrong(*problem);
  return Result::ok(std::move(conninfo));
}

std::vector<std::string> libpq_variable_mistakes(const Environment& environment,
                                                 const std::string& conninfo) {
  std::vector<std::string> mistakes;
  const auto given = parse_conninfo(conninfo);
  for (const auto& [variable, keyword] : kVariables) {
    const std::string value(value_in(environment, variable));
    if (value.empty() || !given || given->count(std::string(keyword)) > 0) continue;
    const auto problem = variable_problem(variable, keyword, value);
    if (!problem) continue;
    const bool hidden = value.find("://") != std::string::npos && !is_service_link(value);
    mistakes.push_back(
        fmt::format("{}{}: {}", variable, hidden ? "" : "=" + shown(value), *problem));
  }
  return mistakes;
}

std::optional<std::string> foreign_address_variable(const Environment& environment) {
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
