#include "options/conninfo_mistakes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "options/value.h"

namespace pgforeman {
namespace {

using Problem = std::optional<std::string>;
using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::string_view kWriteUrl =
    "write postgresql://user:password@host:port/database (its value is not shown)";

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

/// Returns the words of "a b", or of "a, b or c".
std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(", "));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!word.empty() && word != "or") words.push_back(word);
  }
  return words;
}

bool has_word(std::string_view text, std::string_view word) {
  const auto words = words_of(text);
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::string_view kCapitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
constexpr std::string_view kSmallLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kSchemeSigns = "abcdefghijklmnopqrstuvwxyz0123456789+.-_:";

// Products with the beginnings of their schemes for PostgreSQL; then schemes of other servers.
constexpr std::array<Pair, 17> kSchemes = {{
    {"SQLAlchemy", "postgresql+ postgres+"},
    {"Java's JDBC", "jdbc:"},
    {"Java's R2DBC", "r2dbc:"},
    {"Elixir's Ecto", "ecto"},
    {"GeoDjango and Rails", "postgis"},
    {"PHP", "pgsql pdo"},
    {"django-environ", "psql"},
    {"Python", "psycopg asyncpg"},
    {"Go", "pgx"},
    {"Prisma", "prisma"},
    {"CockroachDB's drivers", "cockroach crdb"},
    {"TimescaleDB's drivers", "timescale"},
    {"Redshift's drivers", "redshift"},
    {".NET", "npgsql"},
    {"Elixir", "postgrex"},
    {"Neon's drivers", "neon"},
    {"another program", "pg"},
}};
constexpr std::string_view kOtherSchemes =
    "mysql mariadb sqlite mssql sqlserver oracle mongodb redis valkey memcache amqp kafka nats "
    "http ftp file clickhouse";

Problem scheme_problem(std::string_view text) {
  const auto end = text.find("://");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string scheme = lower(text.substr(0, end));
  if (!consists_of(scheme, kSchemeSigns)) return std::nullopt;  // the :// is in a later part
  if (scheme == "postgresql" || scheme == "postgres") {
    if (scheme == text.substr(0, end)) return std::nullopt;
    return fmt::format("has its scheme in capitals: libpq wants {}:// in small letters", scheme);
  }
  if (is_service_link(text)) {
    return "is a service link of Kubernetes and not the address of a database: set it in the pod's "
           "spec, and enableServiceLinks: false";
  }
  for (const std::string_view other : words_of(kOtherSchemes)) {
    if (!scheme.starts_with(other)) continue;
    return fmt::format("begins with {}://, so it is not an address of a PostgreSQL database; {}",
                       other, kWriteUrl);
  }
  for (const auto& [product, beginnings] : kSchemes) {
    const auto words = words_of(beginnings);
    const auto begins = [&](std::string_view word) { return scheme.starts_with(word); };
    if (std::none_of(words.begin(), words.end(), begins)) continue;
    return fmt::format(
        "has the scheme {}:// of {}, which libpq does not know: write postgresql:// instead{}",
        scheme.substr(0, 24), product,
        scheme.starts_with("jdbc") ? ", with user and password before the host" : "");
  }
  return fmt::format("has a scheme that libpq does not know; {}", kWriteUrl);
}

Problem quotes_problem(std::string_view text) {
  constexpr std::array<std::string_view, 9> kQuotes = {
      "\"",           "'",           "`", "\\\"", "\\'", "\xe2\x80\x9c", "\xe2\x80\x9d",
      "\xe2\x80\x98", "\xe2\x80\x99"};
  const bool url = holds(text, "://");
  for (const std::string_view quote : kQuotes) {
    // A closing quote alone is valid in keyword=value pairs, but not in a URL.
    if (!text.starts_with(quote) && !(url && text.ends_with(quote))) continue;
    return "is in quotes, which are part of the value: `docker run --env-file`, ConfigMaps and "
           "config files do not remove them; write it without";
  }
  return std::nullopt;
}

/// True for "DATABASE_URL=postgres://...", "export X=...", "DATABASE_URL: ...".
bool is_assignment(std::string_view text) {
  if (text.starts_with("export ") || text.starts_with("set ") || text.starts_with("$env:")) {
    return true;
  }
  const auto sign = text.find_first_of("=: ");
  return sign != std::string_view::npos && holds(text.substr(sign + 1), "://") &&
         consists_of(text.substr(0, sign), kCapitals);
}

Problem without_scheme(std::string_view text) {
  for (const std::string_view scheme : {"postgresql", "postgres"}) {
    if (!text.starts_with(scheme)) continue;
    const std::string_view rest = text.substr(scheme.size());
    if (rest.starts_with(":") || rest.starts_with("/")) {
      return fmt::format("lacks the :// after its scheme; {}", kWriteUrl);
    }
  }
  const auto at = text.find_first_of("@=");
  const bool has_user = at != std::string_view::npos && text[at] == '@';
  const bool place = !holds(text, "=") && !holds(text, " ") && text.find_first_of(":/") > 0 &&
                     text.find_first_of(":/") != std::string_view::npos;
  if (!has_user && !place) return std::nullopt;
  return fmt::format("has no scheme; {}", kWriteUrl);
}

// Products with parameters of theirs that libpq does not know.
constexpr std::array<Pair, 12> kForeignParameters = {{
    {"Prisma",
     "schema connection_limit pool_timeout pgbouncer socket_timeout statement_cache_size sslaccept "
     "sslidentity single_use_connections"},
    {"Rails",
     "pool prepared_statements reaping_frequency checkout_timeout timeout encoding adapter "
     "advisory_locks schema_search_path min_messages variables"},
    {"JDBC",
     "currentschema applicationname rewritebatchedinserts preparethreshold sslfactory stringtype "
     "tcpkeepalive sockettimeout logintimeout connecttimeout targetservertype loadbalancehosts"},
    {"Symfony", "serverversion charset"},
    {"node-postgres", "uselibpqcompat statement_timeout"},
    {"postgres.js", "max idle_timeout prepare"},
    {"Supabase", "supa workaround"},
    {"Ecto", "pool_size"},
    {"pgx",
     "pool_max_conns pool_min_conns pool_max_conn_lifetime default_query_exec_mode search_path"},
    {"Django", "conn_max_age conn_health_checks"},
    {"SQLAlchemy", "prepared_statement_cache_size async_fallback"},
    {"asyncpg", "command_timeout"},
}};

Problem query_problem(std::string_view text) {
  const auto question = text.find('?');
  if (question == std::string_view::npos) return std::nullopt;
  std::string_view query = text.substr(question + 1);
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::string_view key = pair.substr(0, pair.find('='));
    if (key == "ssl" && pair != "ssl=true") {
      return "has the parameter ssl, which libpq does not know: write sslmode=require or "
             "sslmode=disable";
    }
    if (key.starts_with("amp;")) return "has &amp; where & belongs between its parameters";
    for (const auto& [product, names] : kForeignParameters) {
      if (!has_word(names, lower(key))) continue;
      return fmt::format(
          "has the parameter {} of {}, which libpq does not know: remove it (pgforeman's schema is "
          "always called pgforeman)",
          lower(key), product);
    }
    if (!key.empty() && key != "ssl" && !is_conninfo_keyword(std::string(key))) {
      return "has a parameter after its ? that libpq does not know (it is not shown): remove it; "
             "sslmode, connect_timeout, application_name and options are some that it knows";
    }
  }
  return std::nullopt;
}

Problem keyword_problem(std::string_view text) {
  constexpr std::array<Pair, 12> kNames = {{{"username", "user"},
                                            {"user id", "user"},
                                            {"userid", "user"},
                                            {"uid", "user"},
                                            {"database", "dbname"},
                                            {"db", "dbname"},
                                            {"pass", "password"},
                                            {"pwd", "password"},
                                            {"server", "host"},
                                            {"hostname", "host"},
                                            {"data source", "host"},
                                            {"ssl mode", "sslmode"}}};
  if (holds(text, ";") && holds(text, "=")) {
    return fmt::format("has semicolons between its parts, as .NET and PDO write it; {}", kWriteUrl);
  }
  const std::string small = " " + lower(text);
  for (const auto& [name, right] : kNames) {
    if (!holds(small, fmt::format(" {}=", name))) continue;
    return fmt::format("has the keyword {}, which libpq does not know: it is {} there", name,
                       right);
  }
  return std::nullopt;
}

/// True if the whole value is like "${NAME}", "$(NAME)", "{{ name }}", "<password>", "[PASSWORD]".
bool is_placeholder(std::string_view value) {
  for (const auto& [front, back] : std::array<Pair, 6>{
           {{"${", "}"}, {"$(", ")"}, {"{{", "}}"}, {"<", ">"}, {"[", "]"}, {"%(", ")s"}}}) {
    const bool address = front == "[" && holds(value, ":");  // IPv6
    if (value.size() > 3 && !address && value.starts_with(front) && value.ends_with(back)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool is_service_link(std::string_view value) {
  for (const std::string_view scheme : {"tcp://", "udp://", "sctp://"}) {
    if (value.starts_with(scheme)) {
      return consists_of(value.substr(scheme.size()), "0123456789abcdefABCDEF.:[]");
    }
  }
  return false;
}

Problem shape_problem(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (text.starts_with("psql ")) {
    return "is a psql command: only the address in it belongs here";
  }
  if (auto problem = quotes_problem(text)) return problem;
  if (is_assignment(text)) {
    return "begins with a name and =, like a line of an env file: write only the part after "
           "them";
  }
  if (text.front() == '{' && text.substr(0, 2) != "{{") {
    return fmt::format("is JSON, as secret stores keep it; {}", kWriteUrl);
  }
  if (text.front() == '$' || text.starts_with("{{") || text.front() == '<') {
    return "is a reference to a variable that nothing has replaced: env files and ConfigMaps do "
           "not expand them (its value is not shown)";
  }
  if (text.starts_with("cG9zdGdy")) {
    return "is in base64: a Secret's `data` is encoded once, `stringData` not at all";
  }
  if ((text.front() == '/' || text.front() == '.') && !holds(text, "=")) {
    return "is a path: set PGFOREMAN_DATABASE_URL_FILE to it instead";
  }
  if (auto problem = scheme_problem(text)) return problem;
  const bool url = text.starts_with("postgresql://") || text.starts_with("postgres://");
  if (!url) return without_scheme(text);
  const auto bad = std::find_if(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
  });
  if (bad == text.end()) return std::nullopt;
  return *bad == ' '
             ? "has a blank in it: a URL has none, %20 stands for one (its value is not shown)"
             : "has a line end or another control character in it (its value is not shown)";
}

Problem foreign_parameter(std::string_view text) {
  return holds(text, "://") ? query_problem(text) : keyword_problem(text);
}

Problem value_problem(std::string_view keyword, std::string_view value) {
  constexpr std::array<Pair, 9> kWords = {
      {{"sslmode", "disable, allow, prefer, require, verify-ca or verify-full"},
       {"channel_binding", "disable, prefer or require"},
       {"gssencmode", "disable, prefer or require"},
       {"target_session_attrs", "any, read-write, read-only, primary, standby or prefer-standby"},
       {"sslcertmode", "disable, allow or require"},
       {"sslnegotiation", "postgres or direct"},
       {"load_balance_hosts", "disable or random"},
       {"ssl_min_protocol_version", "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"},
       {"ssl_max_protocol_version", "TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3"}}};
  for (const auto& [name, allowed] : kWords) {
    if (name != keyword) continue;
    const bool version = name.starts_with("ssl_");  // ignores case, and "" is the default
    if (version ? value.empty() || has_word(lower(allowed), lower(value))
                : has_word(allowed, value)) {
      return std::nullopt;
    }
    return fmt::format("must be {}", allowed);
  }
  constexpr std::string_view kNumbers =
      "connect_timeout keepalives keepalives_idle keepalives_interval keepalives_count "
      "tcp_user_timeout";
  if (!has_word(kNumbers, keyword)) return std::nullopt;
  const std::string_view digits = value.substr(value.find_first_of("-+") == 0 ? 1 : 0);
  if (value.empty() || (consists_of(digits, "0123456789") && digits.size() < 10)) {
    return std::nullopt;
  }
  return "must be a whole number";
}

Problem host_problem(std::string_view host) {
  if (is_service_link(host)) {
    return "is a service link of Kubernetes: only the address in it belongs here, or the name of "
           "the Service";
  }
  if (holds(host, "://")) return "has a scheme: only the name or address of the host belongs here";
  // These texts quote no value: libpq takes any text for a host name, so it may hold a password.
  if (host.find_first_of(";=") != std::string_view::npos) {
    return "has a semicolon or an equals sign in it: the words of an address are separated by "
           "blanks";
  }
  if (host.starts_with("[")) return "is in brackets, which only URLs have";
  if (host.find_first_of(" \t\r\n\"'") != std::string_view::npos && !host.starts_with("/")) {
    return "has a blank, a line end or a quote in it";
  }
  const auto colon = host.find(':');
  if (colon != std::string_view::npos && colon > 0 && !host.starts_with("/") &&
      consists_of(host.substr(colon + 1), "0123456789")) {
    return "has a port after it: the port is set separately";
  }
  return std::nullopt;
}

Problem values_problem(const ConninfoValues& values) {
  for (const auto& [keyword, value] : values) {
    if (const auto problem = value_problem(keyword, value)) {
      // A short word of letters and digits is not a password in the wrong place.
      const bool plain =
          value.size() <= 12 && consists_of(lower(value), std::string(kSmallLetters) + "-");
      return fmt::format("has {}{}, which {}", keyword, plain ? "=" + value : "", *problem);
    }
    if ((keyword == "host" || keyword == "hostaddr" || keyword == "dbname" || keyword == "user" ||
         keyword == "password") &&
        is_placeholder(value)) {
      return fmt::format(
          "has a placeholder or a reference that nothing has replaced for its {} (its value is not "
          "shown)",
          keyword);
    }
  }
  const auto host = values.find("host");
  if (host == values.end()) return std::nullopt;
  if (const auto problem = host_problem(host->second)) return "has a host that " + *problem;
  return std::nullopt;
}

}  // namespace pgforeman
