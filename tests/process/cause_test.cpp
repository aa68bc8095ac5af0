// Causes: each way in which a run can fail has its own, in the message's history, in the counters
// and in what becomes of the message.

#include <algorithm>

#include "bed.h"
#include "support/memory_cgroup.h"
#include "support/prometheus_text.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

/// One column of the history of the only message there is, dead or alive.
std::vector<std::string> history(Bed& bed, const std::string& field) {
  std::vector<std::string> values;
  for (const auto& row :
       bed.sql.rows("select coalesce(h->>'" + field +
                    "', '-') from (select history from pgforeman.message union all"
                    " select history from pgforeman.dead_message) m, jsonb_array_elements(history)"
                    " with ordinality h (h, place) order by place")) {
    values.push_back(row[0]);
  }
  return values;
}

std::string failures(const Fleet& fleet, const std::string& cause) {
  return std::to_string(static_cast<int>(
      sample(fleet.metrics(), "pgforeman_failures_total{queue=\"q\",cause=\"" + cause + "\"}")));
}

using All = std::vector<std::string>;

}  // namespace

TEST_CASE("Each cause of a failed run is recorded, in both modes", "[causes]") {
  struct Case {
    std::string mode, payload, cause, reason, error;
    std::string exit_code, signal;
  };
  const std::vector<Case> cases = {
      {"exec", R"({"do": "fail", "code": 3})", "exit_code", "max_attempts",
       "exited with code 3; stderr: it broke", "3", "-"},
      {"exec", R"({"do": "fail", "code": 65})", "dead", "handler",
       "exited with code 65; stderr: it broke", "65", "-"},
      {"exec", R"({"do": "die", "signal": 11})", "signal", "max_crashes",
       "killed by SIGSEGV; stderr: first words\nlast words", "-", "SIGSEGV"},
      {"exec", R"({"do": "die", "signal": 9})", "signal", "max_crashes",
       "killed by SIGKILL; stderr: first words\nlast words", "-", "SIGKILL"},
      {"exec", R"({"do": "hold"})", "timeout", "max_attempts", "timed out after 1s", "-",
       "SIGTERM"},
      {"jsonl", R"({"do": "fail"})", "retry", "max_attempts", "it broke", "-", "-"},
      {"jsonl", R"({"do": "die", "signal": 6})", "signal", "max_crashes",
       "the handler was killed by SIGABRT without an answer; stderr: first words\nlast words", "-",
       "SIGABRT"},
      {"jsonl", R"({"do": "hold"})", "timeout", "max_attempts",
       "timed out after 1s without a first answer: does it speak jsonl, and does it flush its "
       "output after each answer?",
       "-", "SIGTERM"}};
  for (const auto& c : cases) {
    INFO(c.mode << " " << c.payload);
    Bed bed;
    Fleet fleet(bed.settings({{"HANDLER", bed.handler(c.mode)},
                              {"HANDLER_MODE", c.mode},
                              {"HANDLER_TIMEOUT", "1s"},
                              {"RETRY_BACKOFF", "1ms"},
                              {"MAX_ATTEMPTS", "2"},
                              {"MAX_CRASHES", "2"},
                              {"CONCURRENCY", "1"}}),
                Fleet::Wait::ready, [](Launch& what) {
                  what.argv.insert(what.argv.begin(), {"/usr/bin/prlimit", "--core=0"});
                });
    bed.send(1, c.payload);
    REQUIRE(eventually([&] { return bed.dead() == 1; }));
    const std::size_t runs = c.reason == "handler" ? 1 : 2;
    CHECK(history(bed, "cause") == All(runs, c.cause));
    CHECK(history(bed, "exit_code") == All(runs, c.exit_code));
    CHECK(history(bed, "signal") == All(runs, c.signal));
    CHECK(history(bed, "slot") == All(runs, "0"));
    for (const auto& name : {"host", "started", "seconds"}) {
      for (const auto& value : history(bed, name)) CHECK(value != "-");
    }
    const auto letter =
        bed.sql.rows("select reason, error, attempt, crashes from pgforeman.dead_message")[0];
    CHECK(letter[0] == c.reason);
    CHECK(letter[1] == c.error);
    CHECK(letter[2] == (c.reason == "max_crashes" ? "0" : std::to_string(runs)));
    CHECK(letter[3] == (c.reason == "max_crashes" ? "2" : "0"));
    // Counted a moment after the settle.
    CHECK(eventually([&] { return failures(fleet, c.cause) == std::to_string(runs); }));
    stop_cleanly(fleet);
  }
}

TEST_CASE("A consumer's death is its message's crash, with all that is known", "[causes]") {
  Bed bed;
  Fleet fleet(bed.settings({{"MAX_CRASHES", "2"}, {"CONCURRENCY", "2"}}));
  bed.send(1, R"({"do": "murder"})");
  REQUIRE(eventually([&] { return bed.dead() == 1; }));
  CHECK(history(bed, "cause") == All(2, "consumer_crash"));
  CHECK(history(bed, "signal") == All(2, "SIGKILL"));
  CHECK(history(bed, "stderr") == All(2, "first words\nlast words"));
  CHECK(history(bed, "error") == All(2, "consumer killed by SIGKILL while it ran this message"));
  for (const auto& kib : history(bed, "peak_rss_kib")) CHECK(std::atoi(kib.c_str()) > 100);
  // Counted a moment after the settle.
  CHECK(eventually([&] { return failures(fleet, "consumer_crash") == "2"; }));
  const auto shown =
      run_command({"dead", "show", bed.sql.query("select id from pgforeman.dead_message")},
                  bed.settings({{"QUEUE", "q"}}));
  INFO(shown.out);
  CHECK(shown.code == 0);
  for (const char* part : {"max_crashes: it killed too many processes", "consumer_crash SIGKILL",
                           "stderr: last words", "MiB", " of host "}) {
    CHECK(shown.out.find(part) != std::string::npos);
  }
  stop_cleanly(fleet);
}

TEST_CASE("A consumer that the supervisor kills for its deadline is a cause of its own",
          "[deadline]") {
  Bed bed;
  Fleet fleet(
      bed.settings({{"MAX_CRASHES", "1"}, {"CONCURRENCY", "1"}, {"HANDLER_TIMEOUT", "100ms"}}));
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  ::kill(fleet.status().slots[0].pid, SIGSTOP);
  REQUIRE(eventually([&] { return bed.dead() == 1; }, 40s));
  CHECK(history(bed, "cause") == All{"consumer_deadline"});
  CHECK(history(bed, "error") ==
        All{"consumer killed by SIGKILL: missed its running deadline while it ran this message"});
  // Counted a moment after the settle.
  CHECK(eventually([&] { return failures(fleet, "consumer_deadline") == "1"; }));
  stop_cleanly(fleet);
}

TEST_CASE("Killer messages among a thousand good ones cost the others nothing", "[causes]") {
  MemoryCgroup cgroup(300);
  const std::string eater = cgroup.works() ? R"({"do": "eat"})" : R"({"do": "die", "signal": 9})";
  const std::string eaten = cgroup.works() ? "out_of_memory" : "signal";
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    bed.send(400);
    bed.send(1, R"({"do": "die", "signal": 11})");
    bed.send(300);
    bed.send(1, R"({"do": "murder"})");
    bed.send(200);
    bed.send(1, eater);
    bed.send(100);
    Fleet fleet(
        bed.settings(
            {{"HANDLER", bed.handler(mode)}, {"HANDLER_MODE", mode}, {"RETRY_BACKOFF", "1ms"}}),
        Fleet::Wait::port, [&](Launch& what) {
          if (cgroup.works()) what.argv = cgroup.inside(what.argv);
        });
    Watch watch(fleet.port());
    REQUIRE(eventually([&] { return bed.left() == 0 && bed.dead() == 3; }, 60s));
    CHECK(distinct(bed.runs()) == 1003);
    CHECK(bed.runs().size() == 1009);
    CHECK(bed.sql.rows("select string_agg(h->>'cause', ' '), reason, attempt, crashes"
                       " from pgforeman.dead_message d, jsonb_array_elements(history) h"
                       " group by d.id, reason, attempt, crashes order by d.id") ==
          std::vector<std::vector<std::string>>{
              {"signal signal signal", "max_crashes", "0", "3"},
              {"consumer_crash consumer_crash consumer_crash", "max_crashes", "0", "3"},
              {eaten + " " + eaten + " " + eaten, "max_crashes", "0", "3"}});
    const auto seen = watch.finish();
    INFO(seen.text());
    CHECK(seen.problems.empty());
    CHECK(seen.livez == std::vector<int>{200});
    for (const auto& slot : fleet.status().slots) CHECK_FALSE(slot.crash_looping);
    say("P6 " + mode + ", 1,000 good messages and three killers: " +
        (cgroup.works() ? "2 GiB under a cgroup's limit of 300 MiB included; " : "") + seen.text());
    stop_cleanly(fleet);
  }
}

TEST_CASE("A hundred killer messages are dead after three crashes, and no slot is crash-looping",
          "[causes]") {
  const int killers = repeated(100);
  const std::string all = std::to_string(killers);
  Bed bed;
  bed.send(killers, R"({"do": "murder"})");
  bed.send(killers);
  Fleet fleet(bed.settings({{"CRASH_LOOP_COUNT", "2"}}));
  Watch watch(fleet.port());
  const double start = monotonic_now();
  REQUIRE(eventually([&] { return bed.left() == 0; }, 60s));
  const double took = monotonic_now() - start;
  CHECK(bed.sql.rows("select reason, crashes, count(*), count(*) filter (where"
                     " jsonb_array_length(history) = 3 and history @@ '$[*].signal == \"SIGKILL\"'"
                     " and history @@ '$[*].peak_rss_kib > 100'"
                     " and history @@ '$[*].stderr like_regex \"last words\"')"
                     " from pgforeman.dead_message group by 1, 2") ==
        std::vector<std::vector<std::string>>{{"max_crashes", "3", all, all}});
  CHECK(distinct(bed.runs()) == static_cast<std::size_t>(2 * killers));
  CHECK(bed.runs().size() == static_cast<std::size_t>(4 * killers));
  CHECK(fleet.log("slot is crash-looping").empty());
  const auto seen = watch.finish();
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.problems.empty());
  say("P6 " + all +
      " killers among as many good messages, 4 children: all dead letters with their "
      "evidence after " +
      std::to_string(3 * killers) + " crashes and " + std::to_string(took) +
      " s; /livez 200 throughout");
  stop_cleanly(fleet);
}

TEST_CASE("What was claimed too often without a result is not run again", "[causes]") {
  Bed bed;
  bed.send(1);
  bed.sql.query("update pgforeman.message set claims = 10");
  Fleet fleet(bed.settings({{"MAX_CLAIMS", "10"}}));
  REQUIRE(eventually([&] { return bed.dead() == 1; }));
  CHECK(bed.runs().empty());
  CHECK(history(bed, "cause") == All{"max_claims_exceeded"});
  CHECK(bed.sql.query("select reason || ': ' || error from pgforeman.dead_message") ==
        "max_claims: claimed 10 times without a run that ended");
  stop_cleanly(fleet);
}
