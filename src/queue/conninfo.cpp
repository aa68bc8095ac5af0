#include "queue/conninfo.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "text/conninfo_values.h"

namespace pgforeman {

namespace {

ConninfoValues parse(const std::string& conninfo) {
  if (conninfo.find('\0') != std::string::npos) {
    throw DatabaseError(DatabaseError::Kind::connection, "the database URL contains a NUL byte");
  }
  auto values = parse_conninfo(conninfo);
  if (!values) {
    throw DatabaseError(DatabaseError::Kind::connection,
                        "the database URL cannot be read: expected postgresql://user@host/database "
                        "(special characters percent-encoded) or key=value words");
  }
  return *std::move(values);
}

/// Returns the user's timeout (in `known`, with libpq's own variables) or ours. With a watchdog, a
/// try over all hosts ends within its time: a process that connects for longer counts as stuck.
/// libpq counts whole seconds, for each host anew, reads 1 as 2, and 0 as no limit.
std::int64_t connect_seconds(const ConninfoValues& known, const ConnectionSettings& settings) {
  std::int64_t seconds = (settings.connect_timeout.count() + 999) / 1000;
  if (const auto given = known.find("connect_timeout"); given != known.end()) {
    seconds = std::strtoll(given->second.c_str(), nullptr, 10);
  }
  if (settings.watchdog <= Millis{0}) return seconds;
  std::int64_t hosts = 1;
  for (const char* key : {"host", "hostaddr"}) {
    if (const auto list = known.find(key); list != known.end()) {
      const std::string& names = list->second;
      hosts = std::max<std::int64_t>(hosts, 1 + std::count(names.begin(), names.end(), ','));
    }
  }
  const std::int64_t most = settings.watchdog.count() / 1000 / hosts;
  if (seconds <= 0 || seconds > most) seconds = most;
  return std::max<std::int64_t>(2, seconds);
}

}  // namespace

std::string complete_conninfo(const ConnectionSettings& settings) {
  ConninfoValues values = parse(settings.conninfo);
  if (const auto& server = settings.only_to) {
    values["host"] = server->host;
    values["port"] = server->port;
    values["hostaddr"] = server->address;
  }
  ConninfoValues known = values;
  known.merge(conninfo_defaults());
  values["connect_timeout"] = std::to_string(connect_seconds(known, settings));
  values.emplace("keepalives_idle", "10");
  values.emplace("keepalives_interval", "5");
  values.emplace("keepalives_count", "3");
  values.emplace("tcp_user_timeout", "15000");
  if (!settings.application_name.empty()) {
    values.emplace("fallback_application_name", settings.application_name);
  }
  values["client_encoding"] = "UTF8";  // overrides the user's: all text here is UTF-8

  return conninfo_text(values);
}

}  // namespace pgforeman
