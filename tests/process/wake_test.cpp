// Idle consumers find work: by notifications, by each other, and by their poll as a backstop.

#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <set>

#include "bed.h"

using namespace pgforeman::test;

namespace {

/// No consumer finds anything by polling during a test.
const Settings kNoPolling{{"POLL_INTERVAL", "60s"}};

bool idle(const Fleet& fleet) {
  return fleet.wait_for_status([](const Status& status) {
    return std::all_of(status.slots.begin(), status.slots.end(),
                       [](const SlotStatus& slot) { return slot.phase == "waiting"; });
  });
}

/// Listens, and the test notification came.
bool hears(const Fleet& fleet, std::size_t times = 1) {
  return eventually([&] { return fleet.log("wake-ups by notification work").size() >= times; });
}

/// Whether senders notify.
bool listened_to(Bed& bed) {
  return bed.sql.number(
             "select count(*) from pg_locks l join pg_database d on d.oid = l.database"
             " where l.locktype = 'advisory' and d.datname = current_database()") > 0;
}

/// Sends, each message in a transaction of its own, until senders no longer notify.
bool send_until_silent(Bed& bed) {
  return eventually([&] {
    bed.sql.query(
        "do $$ begin for i in 1..20 loop perform pgforeman.send('q', '1'); commit; end loop; end "
        "$$");
    return !listened_to(bed);
  });
}

/// How often it slept so far.
std::int64_t sleeps(pid_t pid) {
  for (const auto& line : read_lines("/proc/" + std::to_string(pid) + "/status")) {
    if (line.starts_with("voluntary_ctxt_switches:")) return std::stoll(line.substr(24));
  }
  return 0;
}

}  // namespace

TEST_CASE("An idle fleet starts a message when it is committed", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(
      kNoPolling,
      {{"LOG_LEVEL", "debug"}, {"HANDLER_MODE", "jsonl"}, {"HANDLER", bed.handler("jsonl")}})));
  REQUIRE(hears(fleet));
  std::vector<double> took;
  for (std::size_t i = 1; i <= 100; ++i) {
    REQUIRE(idle(fleet));
    const double sent = wall_now();
    bed.sql.query("select pgforeman.send('q', '1')");
    REQUIRE(bed.wait_for_runs(i));
    took.push_back(bed.runs().back().time - sent);
  }
  say("an idle fleet starts a sent message, 100 trials: " + in_ms(took));
  CHECK(figures(took).median < allowed(0.010));
  CHECK(figures(took).worst < allowed(0.200));
  stop_cleanly(fleet);
}

TEST_CASE("One commit of many messages wakes as many consumers as it needs", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"}, {"CONCURRENCY", "8"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  const double sent = wall_now();
  bed.sql.query(
      "begin; select pgforeman.send('q', '{\"do\": \"hold\"}') from generate_series(1, 8); commit");
  REQUIRE(bed.wait_for_runs(8));
  const auto runs = bed.runs();
  const double last = std::max_element(runs.begin(), runs.end(), [](const Run& a, const Run& b) {
                        return a.time < b.time;
                      })->time;
  say("8 messages of one commit start on 8 idle children within " +
      std::to_string((last - sent) * 1000) + " ms");
  CHECK(last - sent < allowed(0.250));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("One message wakes one consumer", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(
      kNoPolling, {{"LOG_LEVEL", "debug"}, {"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "12"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  const auto slots = fleet.status().slots;
  std::vector<std::int64_t> before;
  for (const auto& slot : slots) before.push_back(sleeps(slot.pid));
  constexpr std::size_t kMessages = 100;
  for (std::size_t i = 1; i <= kMessages; ++i) {
    REQUIRE(idle(fleet));
    bed.send();
    REQUIRE(bed.wait_for_runs(i));
  }
  // The first is woken, and wakes the next in case there is more; some seconds later others are.
  std::size_t slept = 0;
  std::int64_t most = 0;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto woken = sleeps(slots[i].pid) - before[i];
    if (woken < static_cast<std::int64_t>(kMessages) / 2) ++slept;
    most = std::max(most, woken);
  }
  CHECK(slept >= 6);
  CHECK(most > static_cast<std::int64_t>(kMessages) / 2);
  const auto after = fleet.status().slots;
  for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i].pid == slots[i].pid);
  stop_cleanly(fleet);
}

TEST_CASE("Stopped idle consumers do not delay the wake-up of others", "[wake]") {
  Bed bed;
  // More than there are wakeup_fds: some share theirs.
  Fleet fleet(bed.settings(with(
      kNoPolling, {{"LOG_LEVEL", "debug"}, {"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "20"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  bed.send();
  REQUIRE(fleet.wait_for_status([](const Status& st) { return st.messages.at("done") == 1; }));
  // Not one that is stopped on its way back to waiting.
  REQUIRE(idle(fleet));
  // The first one to be woken, and one that shares a wakeup fd with another.
  const auto slots = fleet.status().slots;
  const auto ran = std::find_if(slots.begin(), slots.end(),
                                [](const SlotStatus& slot) { return slot.done == 1; });
  REQUIRE(ran != slots.end());
  std::set<pid_t> stopped;
  for (const int next : {0, 1, 5, 18}) {
    stopped.insert(slots[static_cast<std::size_t>(ran->slot + next) % slots.size()].pid);
  }
  for (const pid_t pid : stopped) ::kill(pid, SIGSTOP);
  REQUIRE(idle(fleet));
  std::vector<double> took;
  for (std::size_t i = 2; i <= 11; ++i) {
    REQUIRE(idle(fleet));
    const double sent = wall_now();
    bed.send();
    REQUIRE(bed.wait_for_runs(i));
    took.push_back(bed.runs().back().time - sent);
  }
  const double sent = wall_now();
  bed.sql.query(
      "begin; select pgforeman.send('q', '{\"do\": \"hold\"}') from generate_series(1, 16);"
      " commit");
  REQUIRE(bed.wait_for_runs(27));
  double all = 0;
  for (const auto& run : bed.runs()) all = std::max(all, run.time - sent);
  say("four of 20 idle consumers stopped: a message starts after " + in_ms(took) +
      "; 16 of one commit within " + std::to_string(all * 1000) + " ms");
  CHECK(figures(took).worst < allowed(0.250));
  CHECK(all < allowed(0.500));
  for (const pid_t pid : stopped) ::kill(pid, SIGCONT);
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("A wake-up that its consumer cannot use is passed on", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(
      with(kNoPolling, {{"LOG_LEVEL", "debug"}, {"HANDLER_MODE", "jsonl"}, {"CONCURRENCY", "8"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  // A handler that ended before it was of use is not started again at once.
  const auto slots = fleet.status().slots;
  for (std::size_t i = 0; i < 7; ++i) {
    const auto handlers = children_of(slots[i].pid);
    REQUIRE(handlers.size() == 1);
    ::kill(handlers.front(), SIGKILL);
    REQUIRE(eventually([&] { return children_of(slots[i].pid).empty(); }));
  }
  const double sent = wall_now();
  bed.send();
  REQUIRE(bed.wait_for_runs(1));
  const double took = bed.runs()[0].time - sent;
  say("with no handler but one of eight a message starts after " + std::to_string(took * 1000) +
      " ms");
  CHECK(took < allowed(0.050));
  stop_cleanly(fleet);
}

TEST_CASE("Consumers with a full batch leave wake-ups to others", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"},
                                             {"HANDLER_MODE", "jsonl"},
                                             {"CONCURRENCY", "3"},
                                             {"BATCH", "1000"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  const auto slots = fleet.status().slots;
  for (const int other : {1, 2}) ::kill(slots[static_cast<std::size_t>(other)].pid, SIGSTOP);
  for (const int other : {1, 2}) {
    bed.sql.query(
        "select count(pgforeman.send('q', '{\"do\": \"hold\"}')) from"
        " generate_series(1, 1000)");
    REQUIRE(eventually([&] { return bed.claimable() == 0; }));
    ::kill(slots[static_cast<std::size_t>(other)].pid, SIGCONT);
  }
  Sql somebody(bed.conninfo);
  somebody.query("begin; select count(*) from (select from pgforeman.message for update) locked");
  // Until the rows are free they hold as much as a consumer may.
  bed.go();
  REQUIRE(bed.wait_for_runs(2000, 30s));  // with sanitizers on a busy machine 10 s were too few
  REQUIRE(idle(fleet));
  std::vector<double> took;
  for (std::size_t i = 2001; i <= 2010; ++i) {
    const double sent = wall_now();
    bed.send();
    REQUIRE(bed.wait_for_runs(i));
    took.push_back(bed.runs().back().time - sent);
    REQUIRE(eventually([&] { return bed.left() == 2000; }));
  }
  say("beside two of three consumers that can claim no more a message starts after " + in_ms(took));
  CHECK(figures(took).worst < allowed(0.250));
  somebody.query("commit");
  CHECK(bed.wait_until_empty(20s));
  CHECK(bed.runs().size() == 2010);
  stop_cleanly(fleet);
}

TEST_CASE("A delayed message starts when it is due", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  const double sent = wall_now();
  bed.sql.query("select pgforeman.send('q', '1', delay => '150ms')");
  REQUIRE(bed.wait_for_runs(1));
  const double took = bed.runs()[0].time - sent;
  CHECK(took >= 0.150);
  CHECK(took < allowed(0.300));
  stop_cleanly(fleet);
}

TEST_CASE("Wake-ups resume at once after maintenance lost its session", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"}})));
  for (std::size_t i = 1; i <= 5; ++i) {
    REQUIRE(hears(fleet, i));
    bed.send();
    REQUIRE(bed.wait_for_runs(i));
    REQUIRE(bed.sql.number("select count(pg_terminate_backend(pid)) from pg_stat_activity"
                           " where application_name like 'pgforeman maintenance%' and datname ="
                           " current_database()") == 1);
  }
  stop_cleanly(fleet);
}

TEST_CASE("Maintenance without a free descriptor goes on, and listens once it has one", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings({{"LOG_LEVEL", "debug"}, {"POLL_INTERVAL", "100ms"}}));
  REQUIRE(hears(fleet));
  const pid_t maintenance = fleet.status().maintenance.pid;
  const std::string folder = "/proc/" + std::to_string(maintenance) + "/fd";
  rlim_t highest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    highest = std::max<rlim_t>(highest, std::stoul(entry.path().filename().string()));
  }
  rlimit before{};
  REQUIRE(::prlimit(maintenance, RLIMIT_NOFILE, nullptr, &before) == 0);
  const rlimit one_less{highest, before.rlim_max};
  REQUIRE(::prlimit(maintenance, RLIMIT_NOFILE, &one_less, nullptr) == 0);
  bed.sql.query(
      "select count(pg_terminate_backend(pid)) from pg_stat_activity"
      " where application_name like 'pgforeman maintenance%' and datname = current_database()");
  REQUIRE(fleet.wait_for_log("database session works again"));
  bed.send();
  CHECK(bed.wait_until_empty(10s));
  REQUIRE(::prlimit(maintenance, RLIMIT_NOFILE, &before, nullptr) == 0);
  CHECK(hears(fleet, 2));
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("An idle fleet asks the database once a second at most, however large it is", "[long]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "64"}, {"LOG_LEVEL", "debug"}}), Fleet::Wait::ready);
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  // A consumer that waited already when maintenance began to listen polls once more.
  const double heard = monotonic_now();
  REQUIRE(eventually([&] { return monotonic_now() - heard > 4; }));
  // The server's own counters come seconds late: poll often when each session last began one.
  std::map<std::string, std::string> began;
  int statements = 0;
  const int seconds = number_from("PGFOREMAN_TEST_IDLE_SECONDS", 10);
  const double start = monotonic_now();
  REQUIRE(eventually(
      [&] {
        for (const auto& row : bed.sql.rows(
                 "select pid, query_start from pg_stat_activity where application_name like"
                 " 'pgforeman%' and datname = current_database()")) {
          auto& last = began[row[0]];
          if (!last.empty() && last != row[1]) ++statements;
          last = row[1];
        }
        return monotonic_now() - start > seconds;
      },
      std::chrono::seconds(seconds + 5)));
  CHECK(began.size() == 65);
  const double rate = statements / (monotonic_now() - start);
  say("P34 an idle fleet of 64: " + std::to_string(rate) + " statements a second");
  CHECK(rate > 0.5);   // or they are not counted
  CHECK(rate <= 1.1);  // one more may fall into ten seconds
  bed.send();
  CHECK(bed.wait_for_runs(1));
  stop_cleanly(fleet);
}

TEST_CASE("Senders do not notify a busy fleet until a consumer is idle", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(
      with(kNoPolling, {{"LOG_LEVEL", "debug"}, {"CONCURRENCY", "1"}, {"BATCH", "1"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  CHECK(listened_to(bed));
  REQUIRE(send_until_silent(bed));
  // So it stays: there is no consumer that it could wake.
  bed.sql.query("select pgforeman.send('q', '1', delay => '10ms')");
  CHECK_FALSE(listened_to(bed));
  bed.go();
  REQUIRE(bed.wait_until_empty(20s));
  REQUIRE(eventually([&] { return listened_to(bed); }));
  REQUIRE(idle(fleet));
  const auto before = bed.runs().size();
  const double sent = wall_now();
  bed.send();
  REQUIRE(bed.wait_for_runs(before + 1));
  CHECK(bed.runs()[before].time - sent < allowed(0.200));
  stop_cleanly(fleet);
}

TEST_CASE("Under many sends an idle fleet polls, and is notified again when they stop", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(
      with(kNoPolling, {{"LOG_LEVEL", "debug"}, {"CONCURRENCY", "4"}, {"HANDLER_MODE", "noop"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  for (int i = 0; i < 5; ++i) {
    REQUIRE(send_until_silent(bed));
    CHECK(bed.wait_until_empty(5s));
    CHECK(eventually([&] { return listened_to(bed); }));
  }
  stop_cleanly(fleet);
}

TEST_CASE("A message delayed by centuries does not delay others", "[wake]") {
  Bed bed;
  // Sums of times must not overflow for it.
  bed.sql.query("select pgforeman.send('q', '0', delay => '300 years')");
  Fleet fleet(bed.settings(with(
      kNoPolling, {{"LOG_LEVEL", "debug"}, {"HANDLER_MODE", "noop"}, {"NOOP_DISCARDS", "yes"}})));
  REQUIRE(hears(fleet));
  REQUIRE(idle(fleet));
  REQUIRE(send_until_silent(bed));
  CHECK(eventually([&] { return bed.left() == 1; }));
  CHECK(eventually([&] { return listened_to(bed); }));
  stop_cleanly(fleet);
  CHECK(bed.left() == 1);
}

TEST_CASE("Messages that idle consumers cannot claim are not polled for in a loop", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"},
                                             {"CONCURRENCY", "2"},
                                             {"HANDLER_MODE", "jsonl"},
                                             {"HANDLER", "sh -c 'exit 3'"}})),
              Fleet::Wait::port);  // it is not ready, since its handler does not start
  REQUIRE(hears(fleet));
  REQUIRE(send_until_silent(bed));
  CHECK(eventually([&] { return listened_to(bed); }));
  CHECK(bed.left() > 0);
  stop_cleanly(fleet);
}

TEST_CASE("A sender that checked before the fleet listened and commits later is found", "[wake]") {
  Bed bed;
  Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"},
                                             {"CONCURRENCY", "1"},
                                             {"HANDLER_MODE", "jsonl"},
                                             {"HANDLER", bed.handler("jsonl")}})));
  REQUIRE(hears(fleet));
  Sql late(bed.conninfo);
  std::vector<double> took;
  for (int i = 0; i < 20; ++i) {
    REQUIRE(idle(fleet));
    bed.hold_again();
    const auto before = bed.runs().size();
    bed.send(1, R"({"do": "hold"})");
    REQUIRE(bed.wait_for_runs(before + 1));
    REQUIRE(send_until_silent(bed));
    late.query("begin; select pgforeman.send('q', '\"late\"')");
    bed.go();
    REQUIRE(bed.wait_until_empty(20s));
    REQUIRE(eventually([&] { return listened_to(bed); }));
    const auto known = bed.runs().size();
    const double committed = wall_now();
    late.query("commit");
    REQUIRE(bed.wait_for_runs(known + 1));
    took.push_back(bed.runs()[known].time - committed);
  }
  say("committed without a notification, 20 trials: starts after " + in_ms(took));
  CHECK(figures(took).median < allowed(0.100));
  stop_cleanly(fleet);
}

TEST_CASE("Without a fleet a sender does not notify", "[wake]") {
  Bed bed;
  Sql listener(bed.conninfo);
  listener.query("listen pgforeman");
  bed.send();
  {
    Fleet fleet(bed.settings(with(kNoPolling, {{"LOG_LEVEL", "debug"}})));
    REQUIRE(hears(fleet));
    bed.send();
    stop_cleanly(fleet);
  }
  // The listener's lock goes with its session, a moment after its client.
  REQUIRE(eventually([&] {
    return bed.sql.number("select count(*) from pg_locks where locktype = 'advisory'") == 0;
  }));
  bed.send();
  CHECK(bed.sql.number("select count(*) from pg_locks where locktype = 'advisory'") == 0);
  CHECK(bed.sql.query("select pg_notification_queue_usage()") == "0");
}

TEST_CASE("Another fleet starts at once what a draining one releases", "[wake]") {
  Bed bed;
  const auto settings = bed.settings(
      with(kNoPolling, {{"LOG_LEVEL", "debug"}, {"CONCURRENCY", "1"}, {"BATCH", "100"}}));
  Fleet first(settings);
  bed.sql.query(
      "select pgforeman.send_batch('q', array['{}', '{}', '{}', '{\"do\": \"hold\"}']::jsonb[]"
      " || array_fill('{}'::jsonb, array[96]))");
  REQUIRE(bed.wait_for_runs(4));
  Fleet second(settings);
  REQUIRE(hears(second));
  REQUIRE(idle(second));
  CHECK(bed.left() == 97);
  const double told = wall_now();
  first.signal(SIGTERM);
  REQUIRE(bed.wait_for_runs(5));
  const double took = bed.runs()[4].time - told;
  say("96 unstarted messages of a draining fleet: the first runs elsewhere after " +
      std::to_string(took * 1000) + " ms");
  CHECK(took < allowed(0.100));
  REQUIRE(bed.wait_for_runs(100));
  CHECK(eventually([&] { return bed.left() == 1; }));  // it runs to its deadline
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(bed.runs().size() == 100);
  CHECK(first.wait_end());
  for (const auto& run : bed.runs()) CHECK(run.attempt == 1);
  stop_cleanly(second);
}
