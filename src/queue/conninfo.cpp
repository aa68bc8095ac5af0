#include "queue/conninfo.h"

#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

namespace pgforeman {

namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using OptionList = std::unique_ptr<PQconninfoOption, FreeOptions>;
using Values = std::map<std::string, std::string>;

Values values_of(const PQconninfoOption* options) {
  Values values;
  for (; options != nullptr && options->keyword != nullptr; ++options) {
    if (options->val != nullptr) values[options->keyword] = options->val;
  }
  return values;
}

Values parse(const std::string& conninfo) {
  if (conninfo.find('\0') != std::string::npos) {
    throw DatabaseError(DatabaseError::Kind::connection, "the database URL contains a NUL byte");
  }
  char* message = nullptr;
  const OptionList options(PQconninfoParse(conninfo.c_str(), &message));
  PQfreemem(message);  // it quotes what it could not read, which may be a part of a password
  if (!options) {
    throw DatabaseError(DatabaseError::Kind::connection,
                        "the database URL cannot be read: expected postgresql://user@host/database "
                        "(special characters percent-encoded) or key=value words");
  }
  return values_of(options.get());
}

std::string quoted(const std::string& value) {
  std::string out = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + '\'';
}

const std::string* find(const Values& values, const Values& environment, const char* key) {
  for (const Values* where : {&values, &environment}) {
    if (const auto found = where->find(key); found != where->end()) return &found->second;
  }
  return nullptr;
}

/// The user's timeout or ours, but a try over all hosts ends within the watchdog's time, where
/// there is one: who connects for longer is taken for stuck. libpq counts in seconds, for each host
/// anew, takes 1 for 2 and 0 for ever.
void bound_connect_time(Values& values, const Values& environment,
                        const ConnectionSettings& settings) {
  std::int64_t seconds = (settings.connect_timeout.count() + 999) / 1000;
  if (const std::string* given = find(values, environment, "connect_timeout")) {
    seconds = std::strtoll(given->c_str(), nullptr, 10);
  }
  if (settings.watchdog > Millis{0}) {
    std::int64_t hosts = 1;
    for (const char* key : {"host", "hostaddr"}) {
      const std::string* list = find(values, environment, key);
      if (list != nullptr) {
        hosts = std::max<std::int64_t>(hosts, 1 + std::count(list->begin(), list->end(), ','));
      }
    }
    const std::int64_t most = settings.watchdog.count() / 1000 / hosts;
    if (seconds <= 0 || seconds > most) seconds = most;
    seconds = std::max<std::int64_t>(2, seconds);
  }
  values["connect_timeout"] = std::to_string(seconds);
}

}  // namespace

std::string complete_conninfo(const ConnectionSettings& settings) {
  Values values = parse(settings.conninfo);
  const OptionList from_environment(PQconndefaults());
  const Values environment = values_of(from_environment.get());

  bound_connect_time(values, environment, settings);
  values.emplace("keepalives_idle", "10");
  values.emplace("keepalives_interval", "5");
  values.emplace("keepalives_count", "3");
  values.emplace("tcp_user_timeout", "15000");
  if (!settings.application_name.empty()) {
    values.emplace("fallback_application_name", settings.application_name);
  }
  values["client_encoding"] = "UTF8";  // whatever the user says: all text here is UTF-8

  std::string out;
  for (const auto& [key, value] : values) {
    if (!out.empty()) out += ' ';
    out += key + '=' + quoted(value);
  }
  return out;
}

}  // namespace pgforeman
