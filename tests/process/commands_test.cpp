// The other commands, beside a real database and a real fleet: exit codes and what they print.

#include <csignal>
#include <cstdlib>
#include <sstream>

#include "process/bed.h"
#include "process/birth_tracer.h"

using namespace pgforeman::test;

namespace {

CommandResult command(const Bed& bed, const std::vector<std::string>& words,
                      const std::string& input = "", const Settings& more = {}) {
  Settings settings = more;
  settings.emplace("DATABASE_URL", bed.conninfo);
  settings.emplace("QUEUE", "q");
  return run_command(words, settings, input);
}

std::size_t lines(const std::string& text) {
  std::size_t count = 0;
  for (const char c : text) count += c == '\n' ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("version, help and unknown commands", "[commands]") {
  CHECK(run_command({"version"}).code == 0);
  CHECK(run_command({"version"}).out.rfind("pgforeman ", 0) == 0);
  CHECK(run_command({"--help"}).code == 0);
  CHECK(run_command({}).code == 64);
  const auto unknown = run_command({"mirgate"});
  CHECK(unknown.code == 64);
  CHECK(unknown.err.find("mirgate") != std::string::npos);
  CHECK(run_command({"version", "2"}).code == 64);
  for (const std::string name : {"run", "migrate", "send", "status", "dead", "health", "version"}) {
    INFO(name);
    const auto help = run_command({name, "--help"});
    CHECK(help.code == 0);
    CHECK(help.out.rfind("Usage: pgforeman " + name, 0) == 0);
    CHECK(help.err.empty());
  }
}

TEST_CASE("Output that cannot be written is a failure", "[commands]") {
  Bed bed;
  for (const std::string words : {"send q 1", "send q 1 --json", "version", "migrate --dry-run"}) {
    INFO(words);
    const std::string line = "PGFOREMAN_DATABASE_URL='" + bed.conninfo + "' " + binary_path() +
                             " " + words + " > /dev/full 2> " + bed.folder.file("err");
    CHECK(WEXITSTATUS(std::system(line.c_str())) == 74);
    const auto errors = read_lines(bed.folder.file("err"));
    REQUIRE(errors.size() == 1);
    CHECK_THAT(errors[0], contains("pgforeman: standard output cannot be written"));
  }
  CHECK(bed.left() == 2);  // they were sent
}

TEST_CASE("migrate installs once, prints its plan, and refuses a newer schema", "[commands]") {
  const Settings at{{"DATABASE_URL", ThrowawayPostgres::shared().create_database("to_migrate")}};
  Sql sql(at.at("DATABASE_URL"));
  const auto dry = run_command({"migrate", "--dry-run"}, at);
  CHECK(dry.code == 0);
  CHECK(dry.out.find("create table pgforeman.message") != std::string::npos);
  CHECK(sql.query("select to_regnamespace('pgforeman') is null") == "t");
  CHECK(run_command({"migrate"}, at).code == 0);
  CHECK(sql.query("select to_regclass('pgforeman.message') is not null") == "t");
  const auto again = run_command({"migrate"}, at);
  CHECK(again.code == 0);
  CHECK(again.out.find("nothing to do") != std::string::npos);
  sql.query("insert into pgforeman.schema_version values (9999, 'later', '')");
  const auto newer = run_command({"migrate"}, at);
  CHECK(newer.code == 76);
  CHECK(newer.err.find("9999") != std::string::npos);
  CHECK(run_command({"migrate"}, {{"DATABASE_URL", "host=127.0.0.1 port=1"}}).code == 69);
}

TEST_CASE("A role with the rights of migrate --grant runs a fleet, sends and retries dead letters",
          "[commands]") {
  Bed bed;
  const std::string role = "mail \"worker\"; drop table x";  // a name needs no manners
  const Settings at{{"DATABASE_URL", bed.conninfo}};
  const auto missing = run_command({"migrate", "--grant", role}, at);
  CHECK(missing.code == 69);
  CHECK_THAT(missing.err, contains("drop table x"));
  CHECK(run_command({"migrate", "--grant", "public"}, at).code == 64);
  CHECK(run_command({"migrate", "--grant", ""}, at).code == 64);
  bed.sql.query("create role \"mail \"\"worker\"\"; drop table x\" login");
  bed.sql.query("revoke execute on all functions in schema pgforeman from public");
  const auto dry = run_command({"migrate", "--dry-run", "--grant", role}, at);
  CHECK(dry.code == 0);
  CHECK_THAT(dry.out, contains("grant usage on schema pgforeman to \"mail \"\"worker\"\";"));
  const Settings mine{{"DATABASE_URL", bed.conninfo + " user='mail \"worker\"; drop table x'"},
                      {"QUEUE", "q"}};
  CHECK(run_command({"send", "q", "1"}, mine).code == 69);  // nothing is granted yet
  REQUIRE(run_command({"migrate", "--grant", role}, at).code == 0);

  CHECK(run_command({"send", "q", R"({"do": "fail", "code": 65})", "{}"}, mine).code == 0);
  Fleet fleet(with(bed.settings(), mine));
  CHECK(bed.wait_until_empty(10s));
  CHECK(fleet.wait_for_status(
      [](const Status& s) { return s.messages.at("done") == 1 && s.messages.at("dead") == 1; }));
  CHECK(run_command({"dead", "list"}, mine).code == 0);
  CHECK(run_command({"dead", "retry", "--all"}, mine).code == 0);
  CHECK(eventually([&] { return bed.dead() == 1 && bed.left() == 0; }));
  CHECK(run_command({"dead", "purge", "--all", "--yes"}, mine).code == 0);
  CHECK(fleet.log("database session failed, will keep trying").empty());
  stop_cleanly(fleet);

  // It has no right to give away what it was given.
  const auto passed_on = run_command({"migrate", "--grant", "pg_monitor"}, mine);
  CHECK(passed_on.code == 69);
  CHECK_THAT(passed_on.err, contains("nothing was granted to \"pg_monitor\""));

  Sql session(mine.at("DATABASE_URL"));
  for (const char* forbidden :
       {"drop table pgforeman.message", "truncate pgforeman.message",
        "insert into pgforeman.schema_version values (99, 'mine')",
        "create table pgforeman.mine ()", "alter function pgforeman.to_us owner to current_user"}) {
    INFO(forbidden);
    CHECK_THROWS(session.query(forbidden));
  }
  bed.sql.query("drop owned by \"mail \"\"worker\"\"; drop table x\"");
  bed.sql.query("drop role \"mail \"\"worker\"\"; drop table x\"");
}

TEST_CASE("migrate may be run by every replica at once", "[commands]") {
  const Settings at{{"DATABASE_URL", ThrowawayPostgres::shared().create_database("replicas")}};
  std::vector<pid_t> replicas;
  for (int i = 0; i < 6; ++i) {
    Launch what;
    what.argv = {binary_path(), "migrate", "--grant", "pg_monitor"};
    what.environment = clean_environment();
    what.environment["PGFOREMAN_DATABASE_URL"] = at.at("DATABASE_URL");
    replicas.push_back(launch(what));
  }
  for (const pid_t replica : replicas) {
    const auto end = wait_for_end(replica, 20s);
    REQUIRE(end);
    CHECK(end->code == 0);
  }
  Sql sql(at.at("DATABASE_URL"));
  CHECK(sql.number("select count(*) from pgforeman.schema_version where version = 1") == 1);
}

TEST_CASE("send takes arguments and lines, and names what is not JSON", "[commands]") {
  Bed bed;
  const auto words = command(bed, {"send", "q", R"({"n":1})", "2", "\"three\""});
  CHECK(words.code == 0);
  CHECK(lines(words.out) == 3);
  CHECK(bed.left() == 3);

  std::string input;
  for (int i = 0; i < 2500; ++i) input += "{\"n\": " + std::to_string(i) + "}\n";
  const auto piped = command(bed, {"send", "q", "--quiet"}, input);
  CHECK(piped.code == 0);
  CHECK(piped.out.empty());
  CHECK(bed.left() == 2503);

  const auto bad = command(bed, {"send", "q", "1", "{oops"});
  CHECK(bad.code == 65);
  CHECK(bad.err.find("number 2") != std::string::npos);
  CHECK(bed.left() == 2503);
  const auto bad_line = command(bed, {"send", "q"}, "1\n2\nnope\n4\n");
  CHECK(bad_line.code == 65);
  CHECK(bad_line.err.find("line 3") != std::string::npos);
  CHECK(bed.left() == 2505);

  CHECK(command(bed, {"send", "q", "1", "--priority=9"}).code == 64);
  CHECK(command(bed, {"send", "no spaces allowed", "1"}).code == 64);
  CHECK(run_command({"send", "q", "1"}, {{"DATABASE_URL", "host=127.0.0.1 port=1"}}).code == 69);
  const auto empty = ThrowawayPostgres::shared().create_database("no_schema_to_send_to");
  const auto unready = run_command({"send", "q", "1"}, {{"DATABASE_URL", empty}});
  CHECK(unready.code == 76);
  CHECK(unready.err.find("pgforeman migrate") != std::string::npos);
}

TEST_CASE("dead letters are listed, shown, put back and deleted", "[commands]") {
  Bed bed;
  CHECK(command(bed, {"dead", "list"}).code == 1);
  Fleet fleet(bed.settings());
  bed.send(3, R"({"do": "fail", "code": 65})");
  REQUIRE(eventually([&] { return bed.dead() == 3; }));
  const auto id = bed.sql.query("select min(id) from pgforeman.dead_message");

  const auto list = command(bed, {"dead", "list"});
  CHECK(list.code == 0);
  CHECK(list.out.find(id) != std::string::npos);
  CHECK(list.out.find("it broke") != std::string::npos);
  const auto shown = command(bed, {"dead", "show", id});
  CHECK(shown.code == 0);
  CHECK(shown.out.find("fail") != std::string::npos);
  CHECK(command(bed, {"dead", "show", "999999"}).code == 1);
  CHECK(command(bed, {"dead", "show", "x"}).code == 64);

  CHECK(command(bed, {"dead", "retry", id}).code == 0);
  REQUIRE(bed.wait_for_runs(4));
  REQUIRE(eventually([&] { return bed.dead() == 3; }));
  const auto runs = bed.runs();
  CHECK(runs.back().id == std::stoll(id));
  CHECK(runs.back().attempt == 1);
  for (const auto& run : runs) {
    if (run.id == runs.back().id) CHECK(run.fence <= runs.back().fence);
  }

  CHECK(command(bed, {"dead", "purge", "--all"}).code == 64);
  CHECK(bed.dead() == 3);
  CHECK(command(bed, {"dead", "purge", "--all", "--yes"}).code == 0);
  CHECK(bed.dead() == 0);
  stop_cleanly(fleet);
}

TEST_CASE("status and health ask the running fleet", "[commands]") {
  Bed bed;
  bed.send(1, R"({"do": "hold"})");
  Fleet fleet(bed.settings());
  const Settings at{{"HEALTH_PORT", std::to_string(fleet.port())}};
  REQUIRE(bed.wait_for_runs(1));
  CHECK(command(bed, {"health"}, "", at).code == 0);
  const auto table = command(bed, {"status"}, "", at);
  INFO(table.out);
  CHECK(table.code == 0);
  CHECK(table.out.find("running") != std::string::npos);
  CHECK(table.out.find(std::to_string(fleet.status().slots[3].pid)) != std::string::npos);
  const auto json = command(bed, {"status", "--json"}, "", at);
  CHECK(json.code == 0);
  CHECK(json.out.rfind("{\"fleet\":{", 0) == 0);
  bed.go();
  stop_cleanly(fleet);

  CHECK(command(bed, {"health"}, "", at).code == 1);
  // No endpoint answers: the database knows the queue.
  const auto without = command(bed, {"status"}, "", at);
  CHECK(without.code == 0);
  CHECK(run_command({"status"}, {{"HEALTH_PORT", std::to_string(fleet.port())},
                                 {"DATABASE_URL", "host=127.0.0.1 port=1"}})
            .code == 69);
}

TEST_CASE("health exits 1 when every slot is crash-looping", "[commands]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"CRASH_LOOP_COUNT", "1"}}));
  const Settings at{{"HEALTH_PORT", std::to_string(fleet.port())}};
  BirthTracer tracer(fleet.pid(), BirthTracer::Fate::die);
  ::kill(fleet.status().slots[0].pid, SIGKILL);
  REQUIRE(fleet.wait_for_status([](const Status& status) { return !status.live; }));
  const auto health = command(bed, {"health"}, "", at);
  CHECK(health.code == 1);
  CHECK(health.out.find("crash-looping") != std::string::npos);
  tracer.end();
  stop_cleanly(fleet);
}
