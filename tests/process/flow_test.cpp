// While newer messages flow in faster than they are handled, what is more urgent, what was
// committed late and what came back does not wait for them.

#include <poll.h>

#include <atomic>
#include <map>
#include <thread>

#include "bed.h"

using namespace pgforeman::test;

namespace {

/// Sends so many messages a second, as far as the machine can, until it goes.
class Flood {
 public:
  Flood(const std::string& conninfo, int per_second)
      : thread_([this, conninfo, batch = std::to_string(per_second / 20), per_second] {
          Sql sql(conninfo);
          for (double next = monotonic_now(); !stop_; next += 0.05) {
            sql.query(
                "select count(*) from pgforeman.send_batch('q', array_fill('1'::jsonb, array[" +
                batch + "]))");
            sent_ += per_second / 20;
            while (!stop_ && monotonic_now() < next) ::poll(nullptr, 0, 1);  // a pace, not a wait
          }
        }) {}
  ~Flood() { stop(); }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int sent() const { return sent_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> sent_{0};
  std::thread thread_;
};

/// What became claimable when.
using Marked = std::map<std::int64_t, double>;

std::vector<double> waits(const Marked& marked, const std::map<std::int64_t, double>& started) {
  std::vector<double> all;
  for (const auto& [id, since] : marked) {
    const auto found = started.find(id);
    REQUIRE(found != started.end());
    all.push_back(std::max(0.0, found->second - since));
  }
  return all;
}

}  // namespace

TEST_CASE("Urgent, late and redelivered messages do not wait behind newer ones", "[flow]") {
  // The fleet keeps up with the first: what commits late is then behind all that was handled. With
  // the second it does not: what is urgent or comes back then passes by a growing crowd.
  const int per_second = GENERATE(2'000, 20'000);
  const bool keeps_up = per_second == 2'000;
  Bed bed;
  Fleet fleet(bed.settings({{"HANDLER_MODE", "jsonl"}, {"BATCH", "20"}, {"CONCURRENCY", "4"}}));
  Flood flood(bed.conninfo, per_second);
  REQUIRE(eventually([&] { return flood.sent() >= per_second; }, 30s));
  Sql late(bed.conninfo);
  Marked urgent, redelivered, committed_late;
  const double start = monotonic_now();
  const int sent_before = flood.sent();
  for (int trial = 0; trial < 100; ++trial) {
    late.query("begin");
    const auto late_id = late.number("select pgforeman.send('q', '2')");
    // A fleet that claims one and hands it back, as a drain does.
    const auto token = std::to_string(1000 + trial);
    const auto held =
        bed.sql.rows("select id from pgforeman.claim('q', 1, " + token + ", '1 minute')");
    if (!held.empty()) {
      bed.sql.query("select pgforeman.settle(array[" + held[0][0] + "], array[" + token +
                    "], array['released'], array[null::interval], array[null::text],"
                    " array[null::jsonb], 5, 3, '1s', '1s')");
      redelivered[std::stoll(held[0][0])] = wall_now();
    }
    urgent[bed.sql.number("select pgforeman.send('q', '3', priority => 0)")] = wall_now();
    ::poll(nullptr, 0, 30);  // meanwhile 600 newer ones are committed
    late.query("commit");
    committed_late[late_id] = wall_now();
  }
  const double rate = (flood.sent() - sent_before) / (monotonic_now() - start);
  const auto wanted = [&] {
    std::map<std::int64_t, double> started;
    for (const auto& run : bed.runs()) started.emplace(run.id, run.time);
    return started;
  };
  REQUIRE(eventually(
      [&] {
        return bed.sql.number(std::string("select count(*) from pgforeman.message where lane < 5") +
                              (keeps_up ? " or payload = '2'" : "")) == 0;
      },
      20s));
  flood.stop();
  const auto backlog = bed.left();
  const auto started = wanted();
  const auto u = waits(urgent, started), r = waits(redelivered, started);
  const auto l = keeps_up ? waits(committed_late, started) : std::vector<double>{};
  say("P27 " + std::to_string(static_cast<int>(rate)) + " newer messages a second, " +
      std::to_string(backlog) + " of them waiting: " + std::to_string(u.size()) + " urgent " +
      in_ms(u) + "; " + std::to_string(l.size()) + " committed late " + in_ms(l) + "; " +
      std::to_string(r.size()) + " redelivered " + in_ms(r));
  CHECK(figures(u).worst < allowed(1.0));
  if (keeps_up) CHECK(figures(l).worst < allowed(1.0));
  CHECK(figures(r).median < allowed(0.050));
  CHECK(figures(r).worst < allowed(0.250));
  fleet.signal(SIGTERM);
  CHECK(fleet.wait_end());
}
