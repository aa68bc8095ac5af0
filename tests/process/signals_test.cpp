// TTIN and TTOU change the fleet's size, HUP its options.

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

std::set<pid_t> pids(const Status& status) {
  std::set<pid_t> all;
  for (const auto& slot : status.slots) all.insert(slot.pid);
  return all;
}

bool connected(const Status& status, std::size_t count) {
  return status.slots.size() == count &&
         std::all_of(status.slots.begin(), status.slots.end(),
                     [](const SlotStatus& slot) { return slot.pid > 0 && slot.connected; });
}

/// A fleet whose options stand in a file, and the file.
struct Reloadable {
  Bed bed;
  std::map<std::string, std::string> options;
  std::string path = bed.folder.file("pgforeman.conf");

  Reloadable() {
    for (const auto& [name, value] : bed.settings()) {
      if (name != "DATABASE_URL") options[name] = value;
    }
  }
  void write() const {
    std::string text = "# options of a test\n";
    for (const auto& [name, value] : options) text += name + "=" + value + "\n";
    bed.folder.write("pgforeman.conf", text);
  }
  Settings settings() const { return {{"CONFIG", path}, {"DATABASE_URL", bed.conninfo}}; }
};

}  // namespace

TEST_CASE("TTIN adds a child, TTOU takes one away when its message is done", "[signals]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}}));
  fleet.signal(SIGTTIN);
  REQUIRE(fleet.wait_for_status([](const Status& s) { return connected(s, 3); }));
  bed.send(3, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(3));
  fleet.signal(SIGTTOU);
  REQUIRE(fleet.wait_for_log("concurrency changed",
                             [](const LogLine& line) { return line["to"] == "2"; }));
  // It still runs its message.
  REQUIRE(fleet.wait_for_status(
      [](const Status& s) { return s.slots.size() == 3 && s.slots[2].phase == "draining"; }));
  bed.go();
  CHECK(bed.wait_until_empty(10s));
  CHECK(fleet.wait_for_status([](const Status& s) { return connected(s, 2); }));
  CHECK(bed.runs().size() == 3);
  CHECK(fleet.wait_for_status([](const Status& s) { return s.messages.at("done") == 3; }));
  fleet.signal(SIGTTOU);
  REQUIRE(fleet.wait_for_status([](const Status& s) { return connected(s, 1); }));
  fleet.signal(SIGTTOU);
  REQUIRE(fleet.wait_for_log("concurrency is at its limit"));
  CHECK(connected(fleet.status(), 1));
  stop_cleanly(fleet);
}

TEST_CASE("HUP replaces the children one by one, and they run the new handler", "[signals]") {
  Reloadable made;
  made.write();
  Fleet fleet(made.settings());
  Watch watch(fleet.port());
  const auto before = fleet.status();
  const std::string other = made.bed.folder.write(
      "other.sh", "#!/bin/sh\necho \"$PGFOREMAN_MESSAGE_ID\" >> " + made.bed.folder.file("other"),
      0755);
  made.options["HANDLER"] = other;
  made.write();
  fleet.signal(SIGHUP);
  REQUIRE(fleet.wait_for_status([&](const Status& now) {
    const auto old = pids(before);
    return connected(now, 4) && now.maintenance.pid != before.maintenance.pid &&
           std::none_of(now.slots.begin(), now.slots.end(),
                        [&](const SlotStatus& slot) { return old.contains(slot.pid); });
  }));
  made.bed.send(8);
  CHECK(made.bed.wait_until_empty(10s));
  CHECK(made.bed.runs().empty());
  CHECK(read_lines(made.bed.folder.file("other")).size() == 8);
  // One at a time: never two of them gone at once.
  int missing = 0;
  int most_missing = 0;
  for (const auto& line : fleet.log()) {
    if (line["child"] != "consumer") continue;
    if (line.message == "child ended") most_missing = std::max(most_missing, ++missing);
    if (line.message == "child forked" && line["child_epoch"] != "1") --missing;
  }
  CHECK(most_missing == 1);
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.readyz == std::vector<int>{200});
  CHECK(fleet.status().exits == std::map<std::string, std::int64_t>{{"drained", 5}});
  stop_cleanly(fleet);
}

TEST_CASE("HUP with a mistake in the file logs it and keeps the fleet as it is", "[signals]") {
  Reloadable made;
  made.write();
  Fleet fleet(made.settings());
  const auto before = fleet.status();
  made.options["HANDLER"] = "/no/such/program";
  made.options["BATCH"] = "many";
  made.write();
  fleet.signal(SIGHUP);
  REQUIRE(eventually([&] { return fleet.log("not reloaded").size() >= 2; }));
  std::string errors;
  for (const auto& line : fleet.log("not reloaded")) errors += line["error"] + "\n";
  INFO(errors);
  CHECK(errors.find("/no/such/program") != std::string::npos);
  CHECK(errors.find("BATCH") != std::string::npos);
  CHECK(errors.find("many") != std::string::npos);
  made.bed.send(8);
  CHECK(made.bed.wait_until_empty(10s));
  CHECK(made.bed.runs().size() == 8);
  CHECK(pids(fleet.status()) == pids(before));
  stop_cleanly(fleet);
}

TEST_CASE("HUP names an option that needs a restart, and changes the others", "[signals]") {
  Reloadable made;
  made.options["HEALTH_PORT"] = "0";
  made.write();
  Settings settings = made.settings();
  // What stands in the environment wins over the file.
  Fleet fleet(settings, Fleet::Wait::ready,
              [](Launch& what) { what.environment.erase("PGFOREMAN_HEALTH_PORT"); });
  made.options["HEALTH_PORT"] = std::to_string(free_port());
  made.options["CONCURRENCY"] = "2";
  made.write();
  fleet.signal(SIGHUP);
  const auto line = fleet.wait_for_log("not changed: this option needs a restart");
  REQUIRE(line);
  CHECK((*line)["option"].find("HEALTH_PORT") != std::string::npos);
  CHECK(fleet.wait_for_status([](const Status& s) { return connected(s, 2); }));
  CHECK(fleet.get("/livez").status == 200);
  CHECK_FALSE(http_get(std::stoi(made.options["HEALTH_PORT"]), "/livez").status == 200);
  stop_cleanly(fleet);
}
