#include "faults/neighbours.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <thread>

#include "support/fleet.h"

namespace pgforeman::test {
namespace {

constexpr double kWindow = 5;
constexpr int kBacklog = 20'000;
/// A class that is the row's, those that may be the server's, and a damaged page.
constexpr const char* kStates[] = {"P0001", "53100", "40001", "XX001", "23505", "57014"};

double seconds_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

/// Lets the fleet work: what is measured is a rate.
void work_until(double moment) {
  while (seconds_now() < moment) ::poll(nullptr, 0, 10);
}

/// Keeps a backlog in the queue, from a thread with its own session.
class Backlog {
 public:
  explicit Backlog(const std::string& conninfo) : thread_([this, conninfo] { run(conninfo); }) {}
  ~Backlog() {
    stop_ = true;
    thread_.join();
  }
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

 private:
  void run(const std::string& conninfo) {
    Sql sql(conninfo);
    while (!stop_) {
      const auto waiting =
          sql.number("select count(*) from (select from pgforeman.message where state = 0 limit " +
                     std::to_string(kBacklog) + ") w");
      if (waiting < kBacklog / 2) {
        sql.query(
            "select count(*) from pgforeman.send_batch('q', (select array_agg('{}'::jsonb)"
            " from generate_series(1, " +
            std::to_string(kBacklog) + ")))");
      }
      ::poll(nullptr, 0, 5);
    }
  }

  std::atomic<bool> stop_{false};
  std::thread thread_;
};

/// Puts the message there; `state` "" is one that is not refused but else the same.
void send_bad(Sql& sql, RefusedCall what, const std::string& state) {
  std::string payload = R"({"none": 1)";
  if (!state.empty()) payload = R"({"stuck": ")" + state + "\"";
  if (what == RefusedCall::bury) payload += R"(, "do": "fail")";
  if (what == RefusedCall::renew) payload += R"(, "do": "work", "ms": 4500)";
  payload += "}";
  const std::string delay = what == RefusedCall::promote ? "300 ms"
                            : what == RefusedCall::count ? "1 hour"
                                                         : "0";
  if (what == RefusedCall::sweep) sql.query("begin");
  sql.query("select pgforeman.send('q', '" + payload + "', delay => '" + delay + "')");
  if (what != RefusedCall::sweep) return;
  ::poll(nullptr, 0, 500);  // claims pass its place meanwhile
  sql.query("commit");
}

void remove_bad(Sql& sql) {
  // Without the trigger, which refuses that too.
  sql.query(
      "set session_replication_role = replica;"
      "delete from pgforeman.message where payload->>'stuck' <> '';"
      "reset session_replication_role");
}

NeighbourRate measure_one(ThrowawayPostgres& server, RefusedCall what, double seconds) {
  const std::string conninfo = server.create_database(to_string(what));
  const Settings database{{"DATABASE_URL", conninfo}};
  if (run_command({"migrate"}, database).code != 0) throw std::runtime_error("cannot migrate");
  Sql sql(conninfo);
  refuse(sql, what);
  Fleet fleet({{"DATABASE_URL", conninfo},
               {"HANDLER_MODE", "jsonl"},
               {"HANDLER", FAULT_HANDLER_PATH " jsonl /dev/null a"},
               {"CONCURRENCY", "4"},
               {"MAX_ATTEMPTS", "1"},
               {"VISIBILITY_TIMEOUT", "2s"}});
  const Backlog backlog(conninfo);
  const auto done = [&] { return static_cast<double>(fleet.status().messages.at("done")); };
  work_until(seconds_now() + 2);
  NeighbourRate rate{what};
  const int pairs = std::max(1, static_cast<int>(seconds / kWindow / 2));
  for (int i = 0; i < 2 * pairs; ++i) {
    const bool bad = i % 2 == 1;
    send_bad(sql, what, bad ? kStates[static_cast<std::size_t>(i / 2) % std::size(kStates)] : "");
    const double begun = seconds_now(), before = done();
    work_until(begun + kWindow);
    (bad ? rate.with : rate.without) += (done() - before) / (seconds_now() - begun) / pairs;
    remove_bad(sql);
  }
  if (fleet.stop(30s) != 0) throw std::runtime_error("a fleet does not stop");
  return rate;
}

}  // namespace

std::vector<NeighbourRate> measure_neighbours(
    double seconds, const std::vector<std::string>& only,
    const std::function<void(const std::string&)>& progress) {
  ThrowawayPostgres server;
  std::vector<NeighbourRate> rates;
  for (const RefusedCall what : kRefusedCalls) {
    const bool wanted = std::find(only.begin(), only.end(), to_string(what)) != only.end();
    if (!only.empty() && !wanted) continue;
    rates.push_back(measure_one(server, what, seconds));
    char line[160];
    std::snprintf(line, sizeof line,
                  "%-8s %6.0f messages a second, %6.0f beside one that is refused: %.2f",
                  to_string(what), rates.back().without, rates.back().with, rates.back().part());
    progress(line);
  }
  return rates;
}

}  // namespace pgforeman::test
