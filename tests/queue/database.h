#pragma once
// A migrated database of its own for each test, on the server that the test process shares.

#include <memory>
#include <string>
#include <vector>

#include "queue/connection.h"
#include "queue/migrate.h"
#include "queue/producer.h"
#include "queue/queue.h"
#include "support/catch.h"
#include "support/postgres.h"

namespace pgforeman::test {

inline ConnectionSettings settings_for(const std::string& conninfo) {
  ConnectionSettings settings;
  settings.conninfo = conninfo;
  settings.application_name = "pgforeman test";
  return settings;
}

/// An empty database that was never migrated.
inline std::string empty_database() {
  static int count = 0;
  return ThrowawayPostgres::shared().create_database("empty_" + std::to_string(++count));
}

inline std::string migrated_database() {
  static const bool made = [] {
    Connection connection(
        settings_for(ThrowawayPostgres::shared().create_database("migrated_template")));
    migrate(connection, {});
    return true;
  }();
  static int count = 0;
  return ThrowawayPostgres::shared().create_database("migrated_" + std::to_string(made + ++count),
                                                     "migrated_template");
}

struct Database {
  std::string conninfo = migrated_database();
  Sql sql{conninfo};
  Connection connection{settings_for(conninfo)};
  Queue queue{connection, "q"};
  Producer producer{connection, "q"};
  Token last_token = Token::none;

  std::int64_t send(const std::string& payload = "{}", const SendOptions& options = {}) {
    return producer.send(payload, options);
  }
  std::vector<ClaimedMessage> claim(int limit = 1, Millis lease = Millis{60000}) {
    return queue.claim(limit, next_claim(), lease);
  }
  /// Under a token that is one more than the last one.
  Claim next_claim() {
    last_token = Token{static_cast<std::int64_t>(last_token) + 1};
    return {last_token};
  }
  Settled settle(const Lease& lease, const Outcome& outcome, const RetryRule& rule = {}) {
    const Settlement one{lease, outcome};
    return queue.settle(std::span(&one, 1), rule).at(0);
  }
  std::int64_t left() { return sql.number("select count(*) from pgforeman.message"); }
};

/// A mark in the fresh lane of the usual priority.
inline Marks fresh_mark(std::int64_t number) {
  Marks marks{};
  marks[5] = number;
  return marks;
}

/// All places of a lane up to this number.
inline std::vector<PlaceRange> lane_upto(std::size_t lane, std::int64_t number) {
  return {{place_of(lane, 0), place_of(lane, number)}};
}

inline Outcome done() {
  return {};
}
inline Outcome retry(const std::string& error = "it broke",
                     std::optional<Millis> after = std::nullopt) {
  return {Outcome::Kind::retry, after, error, ""};
}
inline Outcome dead(const std::string& error) {
  return {Outcome::Kind::dead, std::nullopt, error, ""};
}
inline Outcome crash(const std::string& error, std::optional<Millis> after = std::nullopt) {
  Outcome outcome{Outcome::Kind::crash, after, error, ""};
  outcome.evidence = {Cause::signal, -1, 11, 3000, error};
  return outcome;
}
inline Outcome released() {
  return {Outcome::Kind::released, std::nullopt, "", ""};
}

}  // namespace pgforeman::test
