// Two fleets on one queue while their children, handlers, maintenance processes and one whole fleet
// are killed, crashed and paused past their leases. Then the books must balance: what handlers
// wrote down themselves against what the database says.
//
// PGFOREMAN_TEST_FAULT_SECONDS=120 makes it a run of two minutes and 50,000 messages;
// PGFOREMAN_TEST_SEED repeats one.

#include <algorithm>
#include <map>
#include <memory>
#include <random>

#include "bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

/// Keeps of every row that leaves the queue what it knew in the end.
constexpr const char* kAudit =
    "create table audit (id bigint, attempt int, crashes int, claims bigint, history jsonb);"
    "create function audit() returns trigger language plpgsql as $$ begin"
    " insert into public.audit values (old.id, old.attempt, old.crashes, old.claims, old.history);"
    " return old; end $$;"
    "create trigger audit before delete on pgforeman.message for each row execute function audit()";

class Havoc {
 public:
  Havoc(Bed& bed, unsigned seed) : bed_(bed), random_(seed) {
    for (auto& fleet : fleets_) fleet = start();
  }

  /// One fault somewhere.
  void strike() {
    auto& fleet = fleets_[pick(2)];
    const Status status = fleet->status();
    const auto slot = status.slots[pick(status.slots.size())];
    if (slot.pid <= 0 || paused_.contains(slot.pid)) return;
    switch (pick(8)) {
      case 0:
      case 1:
        hit("consumer killed", slot.pid, SIGKILL);
        break;
      case 2:
        hit("consumer crashed", slot.pid, SIGSEGV);
        break;
      case 3:
      case 4:
        for (const pid_t handler : children_of(slot.pid)) hit("handler killed", handler, SIGKILL);
        break;
      case 5:
        for (const pid_t handler : children_of(slot.pid)) hit("handler crashed", handler, SIGSEGV);
        break;
      case 6:
        if (paused_.size() < 2) {
          hit("consumer paused", slot.pid, SIGSTOP);
          paused_[slot.pid] = monotonic_now() + 7;
        }
        break;
      case 7:
        if (pick(4) == 0) hit("maintenance killed", status.maintenance.pid, SIGKILL);
        break;
      default:
        break;
    }
  }

  void resume(bool all = false) {
    std::erase_if(paused_, [&](const auto& paused) {
      if (!all && monotonic_now() < paused.second) return false;
      ::kill(paused.first, SIGCONT);
      return true;
    });
  }

  /// As a host that is gone, and a new one in its place.
  void lose_a_fleet() {
    note(fleets_[0]->status());
    ++struck_["fleet lost"];
    ::kill(fleets_[0]->pid(), SIGKILL);
    REQUIRE(fleets_[0]->wait_end());
    fleets_[0] = start();
  }

  void end() {
    for (auto& fleet : fleets_) {
      note(fleet->status());
      stop_cleanly(*fleet);
    }
  }

  std::int64_t counted(const std::string& outcome) const {
    const auto found = counted_.find(outcome);
    return found == counted_.end() ? 0 : found->second;
  }
  std::string text() const {
    std::string text;
    for (const auto& [what, count] : struck_) {
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " x " + what;
    }
    return text;
  }
  const Fleet& fleet(std::size_t i) const { return *fleets_[i]; }

 private:
  std::unique_ptr<Fleet> start() {
    static const Settings kinds[] = {{{"HANDLER_MODE", "exec"}, {"BATCH", "auto"}},
                                     {{"HANDLER_MODE", "jsonl"}, {"BATCH", "10"}},
                                     {{"HANDLER_MODE", "jsonl"}, {"BATCH", "auto"}}};
    const Settings& kind = kinds[started_++ % std::size(kinds)];
    return std::make_unique<Fleet>(bed_.settings(with(
        kind,
        {{"HANDLER_TIMEOUT", "1s"},
         {"VISIBILITY_TIMEOUT", "2s"},
         {"POLL_INTERVAL", "200ms"},
         {"RETRY_BACKOFF", "10ms"},
         // A slot that is hit again and again before it waits is no crash loop of its own making.
         {"CRASH_LOOP_COUNT", "100"}})));
  }
  std::size_t pick(std::size_t count) { return random_() % count; }
  void hit(const std::string& what, pid_t pid, int signal) {
    if (pid > 0 && ::kill(pid, signal) == 0) ++struck_[what];
  }
  void note(const Status& status) {
    for (const auto& [outcome, count] : status.messages) counted_[outcome] += count;
  }

  Bed& bed_;
  std::minstd_rand random_;
  int started_ = 0;
  std::unique_ptr<Fleet> fleets_[2];
  std::map<pid_t, double> paused_;  ///< until when
  std::map<std::string, int> struck_;
  std::map<std::string, std::int64_t> counted_;
};

}  // namespace

TEST_CASE("Whatever is killed, crashed or paused, the books balance", "[faults]") {
  const int seconds = number_from("PGFOREMAN_TEST_FAULT_SECONDS", 12);
  const auto seed = static_cast<unsigned>(
      number_from("PGFOREMAN_TEST_SEED", static_cast<int>(std::random_device{}() >> 1)));
  const int good = seconds * 50000 / 120, killers = 5;
  INFO("PGFOREMAN_TEST_FAULT_SECONDS=" << seconds << " PGFOREMAN_TEST_SEED=" << seed);
  Bed bed;
  bed.sql.query(kAudit);
  bed.send(killers, R"({"do": "die", "signal": 11})");
  bed.send(good, R"({"do": "sleep", "ms": 12})");
  Havoc havoc(bed, seed);
  Watch first(havoc.fleet(1).port());

  const double start = monotonic_now();
  bool lost_one = false;
  while (monotonic_now() - start < seconds) {
    if (bed.wait_until_empty(120ms)) break;
    havoc.strike();
    havoc.resume();
    if (!lost_one && monotonic_now() - start > seconds / 2.0) {
      lost_one = true;
      havoc.lose_a_fleet();
    }
  }
  havoc.resume(true);
  REQUIRE(bed.wait_until_empty(120s));
  const auto seen = first.finish();
  havoc.end();

  // What handlers say: how often each message was run.
  std::map<std::int64_t, int> runs;
  for (const auto& run : bed.runs()) ++runs[run.id];
  const auto sent = static_cast<std::size_t>(good + killers);
  CHECK(runs.size() == sent);
  // What the database says of the same: each run in vain stands in the message's history, but for
  // those of which nobody could tell: of a fleet that is gone, or under a lease that had moved on.
  const auto rows = bed.sql.rows(
      "select a.id, a.attempt + a.crashes, jsonb_array_length(coalesce(d.history, a.history)),"
      " d.id is null, coalesce(d.attempt + d.crashes, a.attempt + a.crashes)"
      " from audit a left join pgforeman.dead_message d using (id)");
  CHECK(rows.size() == sent);
  std::int64_t extra = 0, explained = 0, done = 0, more = 0, unbegun = 0;
  for (const auto& row : rows) {
    const int ran = runs[std::stoll(row[0])];
    const bool finished = row[3] == "t";
    const int vain = std::stoi(row[4]);
    REQUIRE(std::stoi(row[2]) >= vain);  // a shutdown leaves a line too, and costs nothing
    done += finished;
    extra += ran - 1;
    explained += vain - (finished ? 0 : 1);
    // Killed between the fork and the handler's first act, a run left no trace but in the history.
    const int silent = ran - vain - (finished ? 1 : 0);
    (silent < 0 ? unbegun : more) += std::abs(silent);
  }
  const auto dead = bed.dead();
  const auto lost = havoc.counted("lost_lease");
  say("P20 " + std::to_string(sent) + " messages in " +
      std::to_string(static_cast<int>(monotonic_now() - start)) + " s, seed " +
      std::to_string(seed) + ": " + havoc.text() + "; " + std::to_string(done) + " done, " +
      std::to_string(dead) + " dead; " + std::to_string(extra) +
      " extra runs: " + std::to_string(explained) + " in the histories, " + std::to_string(more) +
      " of a lost fleet or a lost lease (" + std::to_string(lost) + " leases lost); " +
      std::to_string(unbegun) + " killed before their handler's first act");
  INFO(havoc.text());
  CHECK(done + dead == static_cast<std::int64_t>(sent));
  CHECK(bed.left() == 0);
  CHECK(extra == explained + more - unbegun);
  CHECK(unbegun <= extra / 4 + 4);  // the busier the machine, the longer a handler's start
  CHECK(more <= lost + 4);          // the lost fleet's four consumers ran one message each
  // Killers die of their crashes, and hardly anybody else does.
  CHECK(bed.sql.number(
            "select count(*) from pgforeman.dead_message where reason = 'max_crashes'") == dead);
  CHECK(dead >= killers);
  // Nothing is counted twice; what the lost fleet had counted since it was last asked is gone.
  CHECK(havoc.counted("done") <= done);
  CHECK(havoc.counted("done") >= done - 200);
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
}
