#pragma once
// What a fleet under test works on: a migrated database of its own on the server that this test
// process shares, a queue "q" in it, and a handler that writes down each of its runs.

#include <set>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/fleet.h"
#include "support/postgres.h"
#include "support/server_process.h"

namespace pgforeman::test {

struct Run {
  std::int64_t id = 0;
  int attempt = 0;
  std::int64_t fence = 0;
  double time = 0;  ///< seconds since the epoch
  pid_t pid = 0;
};

class Bed {
 public:
  Bed();
  explicit Bed(ThrowawayPostgres& server);  ///< one a server

  /// "exec" or "jsonl": tests/process/test_handler.cpp.
  std::string handler(const std::string& mode = "exec") const;
  /// Database and handler, and whatever a test adds.
  Settings settings(const Settings& more = {}) const;

  void send(int count = 1, const std::string& payload = "{}");
  std::int64_t left() { return sql.number("select count(*) from pgforeman.message"); }
  std::int64_t dead() { return sql.number("select count(*) from pgforeman.dead_message"); }
  /// Could be claimed now.
  std::int64_t claimable();
  bool wait_until_empty(std::chrono::milliseconds limit);

  std::vector<Run> runs() const;
  bool wait_for_runs(std::size_t count, std::chrono::milliseconds limit = 15s) const;
  /// The processes that handlers of {"do": "crowd"} left.
  std::vector<pid_t> crowd() const;
  /// Lets handlers that hold go on.
  void go() const { folder.write("runs.go", ""); }
  void hold_again() const;

  TempFolder folder;
  std::string conninfo;
  Sql sql;
};

/// Different ids among `runs`.
std::size_t distinct(const std::vector<Run>& runs);

/// A variable of the environment, for longer runs of a test.
int number_from(const char* name, int otherwise);

/// Now as the log writes it: seconds since the epoch.
double wall_now();
double monotonic_now();

/// `settings` with `more`, which wins.
Settings with(Settings settings, const Settings& more);

struct Figures {
  double median = 0, worst = 0;
};
Figures figures(std::vector<double> values);
/// "median 2.5 ms, worst 14 ms" of so many seconds.
std::string in_ms(const std::vector<double>& seconds);

/// What a promise allows; a build with sanitizers is some times slower.
double allowed(double seconds);

/// How often to do the same: a build with sanitizers learns little from repeating, and does so much
/// less.
int repeated(int count, int less = 5);

/// A line of the test's output that docs/promises.md quotes.
void say(const std::string& line);

/// The database refuses updates of messages in this case, as a trigger of a tenant's may.
void refuse_updates(Sql& sql, const std::string& condition);

/// Ends the fleet by TERM; nothing of it may be left.
void stop_cleanly(Fleet& fleet, std::chrono::milliseconds limit = 30s);

}  // namespace pgforeman::test
