// What a start says and does when something is wrong with its options, its port, its database.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "process/bed.h"
#include "support/watch.h"

using namespace pgforeman::test;

namespace {

struct Mistake {
  std::string name;
  Settings settings;  ///< beside a handler and a database that is not there
  std::vector<std::string> words;
  std::vector<std::string> said;  ///< all of it on stderr
};

const std::vector<Mistake>& mistakes() {
  static const std::vector<Mistake> all = {
      {"no handler", {{"HANDLER", ""}}, {}, {"HANDLER"}},
      {"a handler that is not there", {{"HANDLER", "/no/such"}}, {}, {"HANDLER", "/no/such"}},
      {"a handler that is no program", {{"HANDLER", "/etc/passwd"}}, {}, {"/etc/passwd"}},
      {"an unknown flag", {}, {"--conkurrency=3"}, {"--conkurrency"}},
      {"a word too many", {}, {"now"}, {"now"}},
      {"CONCURRENCY 0", {{"CONCURRENCY", "0"}}, {}, {"CONCURRENCY", "0", "1024"}},
      {"CONCURRENCY abc", {{"CONCURRENCY", "abc"}}, {}, {"CONCURRENCY", "abc"}},
      {"CONCURRENCY 5000", {{"CONCURRENCY", "5000"}}, {}, {"CONCURRENCY", "5000", "1024"}},
      {"CONCURRENCY by flag", {}, {"--concurrency=-1"}, {"--concurrency", "-1", "1024"}},
      {"HEALTH_PORT 70000", {{"HEALTH_PORT", "70000"}}, {}, {"HEALTH_PORT", "70000", "65535"}},
      {"HEALTH_ADDRESS", {{"HEALTH_ADDRESS", "localhost"}}, {}, {"HEALTH_ADDRESS", "localhost"}},
      {"HANDLER_TIMEOUT NaN", {{"HANDLER_TIMEOUT", "NaN"}}, {}, {"HANDLER_TIMEOUT", "NaN"}},
      {"HANDLER_TIMEOUT -1s", {{"HANDLER_TIMEOUT", "-1s"}}, {}, {"HANDLER_TIMEOUT", "-1s"}},
      {"a unit of length",
       {{"HANDLER_TIMEOUT", "5 parsecs"}},
       {},
       {"HANDLER_TIMEOUT", "5 parsecs"}},
      {"HANDLER_MODE",
       {{"HANDLER_MODE", "http"}},
       {},
       {"HANDLER_MODE", "http", "exec", "jsonl", "noop"}},
      {"a config file that is not there", {{"CONFIG", "/no/such.conf"}}, {}, {"/no/such.conf"}},
      {"quotes around the address",
       {{"DATABASE_URL", "'postgresql://u:s3cret@h/d'"}},
       {},
       {"PGFOREMAN_DATABASE_URL", "quotes"}},
      {"another program's scheme",
       {{"DATABASE_URL", "postgresql+psycopg://u:s3cret@h/d"}},
       {},
       {"postgresql+psycopg://", "write postgresql://"}},
      {"a word that libpq refuses only when it connects",
       {{"DATABASE_URL", "host=h sslmode=yes"}},
       {},
       {"sslmode=yes", "verify-full"}},
      {"the link of a Service called pgforeman-health",
       {{"HEALTH_PORT", "tcp://10.0.0.1:8080"}, {"HEALTH_SERVICE_HOST", "10.0.0.1"}},
       {},
       {"PGFOREMAN_HEALTH_PORT=tcp://10.0.0.1:8080", "enableServiceLinks: false"}},
      {"a handler that is not quoted", {}, {"--handler", "cat", "x"}, {"x: ", "'python3 x.py'"}},
      {"two mistakes",
       {{"CONCURRENCY", "abc"}, {"HANDLER_TIMEOUT", "NaN"}},
       {},
       {"CONCURRENCY", "abc", "HANDLER_TIMEOUT", "NaN"}},
  };
  return all;
}

/// Holds a port.
class PortHolder {
 public:
  PortHolder() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), port(free_port()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
  }
  ~PortHolder() { ::close(fd_); }
  PortHolder(const PortHolder&) = delete;
  PortHolder& operator=(const PortHolder&) = delete;

 private:
  int fd_;

 public:
  const int port;
};

/// A role that must give its password, over TCP.
std::string locked_role(const std::string& password) {
  auto& server = ThrowawayPostgres::shared();
  const std::string hba = server.folder() + "/data/pg_hba.conf";
  const std::string before = read_file(hba);
  if (before.find("locked") == std::string::npos) {
    std::ofstream(hba) << "host all locked 127.0.0.1/32 scram-sha-256\n" << before;
  }
  Sql sql(server.conninfo());
  sql.query("create role locked superuser login password '" + password + "'");
  sql.query("select pg_reload_conf()");
  return "host=127.0.0.1 port=" + std::to_string(server.port()) + " user=locked password=";
}

}  // namespace

TEST_CASE("All mistakes of a start are reported, and nothing is forked", "[startup]") {
  for (const auto& mistake : mistakes()) {
    INFO(mistake.name);
    Settings settings{
        {"HANDLER", "/bin/true"}, {"HEALTH_PORT", "0"}, {"DATABASE_URL", "host=127.0.0.1 port=1"}};
    for (const auto& [name, value] : mistake.settings) settings[name] = value;
    std::vector<std::string> words{"run"};
    words.insert(words.end(), mistake.words.begin(), mistake.words.end());
    const auto result = run_command(words, settings);
    INFO(result.err);
    CHECK(result.code == 78);
    for (const auto& part : mistake.said) {
      INFO(part);
      CHECK(result.err.find(part) != std::string::npos);
    }
    // No log line: the fleet never was.
    CHECK(result.out.empty());
  }
}

TEST_CASE("A database URL with a mistake in it is not printed", "[startup]") {
  const auto result = run_command({"run"}, {{"HANDLER", "/bin/true"},
                                            {"CONCURRENCY", "abc"},
                                            {"DATABASE_URL", "postgresql://u:s3cret@h:port/x"}});
  CHECK(result.code == 78);
  CHECK(result.err.find("s3cret") == std::string::npos);
}

TEST_CASE("A taken port ends the start with exit code 74", "[startup]") {
  const PortHolder holder;
  const auto result = run_command({"run"}, {{"HANDLER", "/bin/true"},
                                            {"HEALTH_ADDRESS", "127.0.0.1"},
                                            {"HEALTH_PORT", std::to_string(holder.port)},
                                            {"DATABASE_URL", "host=127.0.0.1 port=1"}});
  INFO(result.err);
  CHECK(result.code == 74);
  CHECK(result.err.find(std::to_string(holder.port)) != std::string::npos);
  CHECK(result.err.find("in use") != std::string::npos);
  CHECK(result.err.find("PGFOREMAN_HEALTH_PORT=0 takes any free one") != std::string::npos);
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(result.out.empty());
  CHECK(result.out.find("child forked") == std::string::npos);
}

TEST_CASE("The log names version, queue, handler and database, and the first message done",
          "[startup]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "2"}, {"DATABASE_URL", bed.conninfo + "\r\n"}}));
  const auto starts = fleet.log("fleet starts");
  REQUIRE(starts.size() == 1);
  const LogLine line = starts[0];
  const std::string database = bed.sql.query("select current_database()");
  CHECK(line.level == "info");
  CHECK(line["queue"] == "q");
  CHECK(line["handler"] == bed.settings().at("HANDLER"));
  CHECK(line["handler_mode"] == "exec");
  CHECK(line["concurrency"] == "2");
  CHECK(line["database_host"] == ThrowawayPostgres::shared().folder());
  CHECK(line["database"] == database);
  CHECK_FALSE(line["version"].empty());
  // One of the three processes says it for all.
  const auto reached = fleet.wait_for_log("database reached");
  REQUIRE(reached);
  CHECK((*reached)["host"] == ThrowawayPostgres::shared().folder());
  CHECK((*reached)["database"] == database);
  CHECK(fleet.log("first message done").empty());
  bed.send(5);
  const auto done = fleet.wait_for_log("first message done");
  REQUIRE(done);
  CHECK(done->level == "info");
  CHECK(std::stol((*done)["ms"]) < 10'000);
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
  CHECK(fleet.log("first message done").size() == 1);
  CHECK(fleet.log("database reached").size() == 1);
  CHECK(fleet.errors().find("blanks or line ends around its value") != std::string::npos);
}

TEST_CASE("By default the endpoint and its commands work over IPv4 and IPv6", "[startup]") {
  if (read_file("/proc/net/if_inet6").find("00000000000000000000000000000001") ==
      std::string::npos) {
    WARN("this host has no IPv6");
    return;
  }
  Fleet fleet({{"HANDLER", "/bin/true"},
               {"HEALTH_ADDRESS", ""},
               {"DATABASE_URL", "postgresql://x@[::1]:1/x"}},
              Fleet::Wait::port);
  const std::string port = "--health-port=" + std::to_string(fleet.port());
  for (const std::string address : {"::1", "127.0.0.1", "::", "0.0.0.0"}) {
    INFO(address);
    CHECK(run_command({"health", "--health-address=" + address, port}).code == 0);
  }
  CHECK(run_command({"health", port}).code == 0);
}

TEST_CASE("A tool never touches a database that the environment names", "[startup]") {
  auto& others = ThrowawayPostgres::shared();
  const std::string conninfo = others.create_database("others");
  const TempFolder folder;
  Launch tool;
  tool.environment = clean_environment();
  tool.environment["PGFOREMAN_DATABASE_URL"] = conninfo;
  tool.environment["DATABASE_URL"] = conninfo;
  tool.environment["PGHOST"] = others.folder();
  tool.environment["PGPORT"] = std::to_string(others.port());
  tool.environment["PGDATABASE"] = "others";
  tool.environment["PGUSER"] = "postgres";
  tool.out = folder.file("out");
  tool.err = folder.file("err");
  // As tools/demo and tools/show-causes do it.
  const std::string script =
      "set -euo pipefail; . " PGFOREMAN_DOCS "/../tools/lib/postgres.sh; mkdir " +
      folder.file("server") + "; trap postgres_stop EXIT; postgres_start " + folder.file("server") +
      "; " + binary_path() + " migrate; " + binary_path() + " send q 1; env | grep ^PG | sort";
  tool.argv = {"/bin/bash", "-c", script};
  const auto ended = wait_for_end(launch(tool), 60s);
  INFO(read_file(tool.err));
  REQUIRE(ended);
  CHECK(ended->code == 0);
  Sql sql(conninfo);
  CHECK(sql.number("select count(*) from pg_namespace where nspname = 'pgforeman'") == 0);
  const std::string out = read_file(tool.out);
  CHECK(out.find("PGFOREMAN_") == std::string::npos);
  CHECK(out.find("PGHOST=" + folder.file("server")) != std::string::npos);
}

TEST_CASE("A refused password is logged once, retried, and accepted once mended", "[startup]") {
  Bed bed;
  const auto name = bed.sql.query("select current_database()");
  const std::string role = locked_role("right");
  const auto url = [&](const std::string& password) {
    return role + password + " dbname=" + name + "\n";
  };
  const std::string file = bed.folder.write("url", url("wr0ng"));
  Settings settings = bed.settings({{"CONCURRENCY", "2"}, {"DATABASE_URL_FILE", file}});
  settings.erase("DATABASE_URL");
  Fleet fleet(settings, Fleet::Wait::port);
  Watch watch(fleet.port());
  // One of the three processes says it for all.
  const auto failures = [&] { return fleet.log("database session failed, will keep trying"); };
  REQUIRE(eventually([&] { return !failures().empty(); }));
  CHECK(failures()[0]["reason"].find("password authentication failed") != std::string::npos);
  CHECK(fleet.get("/livez").status == 200);
  CHECK(fleet.get("/readyz").status == 503);
  const auto status = fleet.status();
  CHECK(status.live);
  CHECK_FALSE(status.ready);
  CHECK(status.not_ready_reason == "no consumer has a working database session");
  // It keeps trying: the server sees more attempts than there were lines.
  const auto attempts = [] {
    const std::string log = read_file(ThrowawayPostgres::shared().folder() + "/server.log");
    int count = 0;
    for (auto at = log.find("authentication failed"); at != std::string::npos;
         at = log.find("authentication failed", at + 1)) {
      ++count;
    }
    return count;
  };
  REQUIRE(eventually([&] { return attempts() >= 9; }, 15s));
  CHECK(failures().size() <= 2);  // again after a minute began
  CHECK(fleet.log_text().find("wr0ng") == std::string::npos);

  bed.folder.write("url", url("right"));
  const double start = monotonic_now();
  REQUIRE(fleet.wait_ready());
  say("a corrected password works after " + std::to_string(monotonic_now() - start) + " s");
  CHECK(fleet.get("/readyz").status == 200);
  bed.send(4);
  CHECK(bed.wait_until_empty(10s));
  CHECK(fleet.status().exits.empty());
  const auto seen = watch.finish();
  INFO(seen.text());
  CHECK(seen.problems.empty());
  CHECK(seen.livez == std::vector<int>{200});
  CHECK(seen.readyz == std::vector<int>{503, 200});
  stop_cleanly(fleet);
}

TEST_CASE("A missing schema is logged with the command that installs it", "[startup]") {
  const std::string conninfo = ThrowawayPostgres::shared().create_database("not_migrated");
  const TempFolder folder;
  Fleet fleet({{"DATABASE_URL", conninfo}, {"HANDLER", "/bin/true"}, {"CONCURRENCY", "2"}},
              Fleet::Wait::port);
  const auto line = fleet.wait_for_log("database session failed, will keep trying");
  REQUIRE(line);
  INFO((*line)["reason"]);
  CHECK((*line)["reason"].find("pgforeman migrate") != std::string::npos);
  CHECK(fleet.get("/livez").status == 200);
  CHECK(fleet.get("/readyz").status == 503);

  const auto migrated = run_command({"migrate"}, {{"DATABASE_URL", conninfo}});
  INFO(migrated.err);
  REQUIRE(migrated.code == 0);
  REQUIRE(fleet.wait_ready());
  Sql sql(conninfo);
  sql.query("select pgforeman.send('q', '{}')");
  CHECK(eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }));
  CHECK(fleet.status().exits.empty());
  stop_cleanly(fleet);
}

TEST_CASE("Without a database URL libpq's own variables are used", "[startup]") {
  Bed bed;
  Settings settings = bed.settings({{"CONCURRENCY", "1"}});
  settings.erase("DATABASE_URL");
  auto& server = ThrowawayPostgres::shared();
  settings["PGHOST"] = server.folder();
  settings["PGPORT"] = std::to_string(server.port());
  settings["PGUSER"] = "postgres";
  settings["PGDATABASE"] = bed.sql.query("select current_database()");
  Fleet fleet(settings);
  bed.send();
  CHECK(bed.wait_until_empty(10s));
  stop_cleanly(fleet);
}

TEST_CASE("A handler gets no secret, not even from its parent's environment", "[startup]") {
  Bed bed;
  const std::string out = bed.folder.file("seen");
  const std::string script =
      bed.folder.write("look.sh",
                       "#!/bin/sh\n{ env; tr '\\0' '\\n' < /proc/$PPID/environ; tr '\\0' '\\n' < "
                       "/proc/$PPID/cmdline; } > " +
                           out + ".new && mv " + out + ".new " + out,
                       0755);
  Fleet fleet(bed.settings({{"HANDLER", script},
                            {"DATABASE_URL", bed.conninfo + " password=s3cret"},
                            {"CONCURRENCY", "1"}}));
  bed.send();
  REQUIRE(bed.wait_until_empty(10s));
  const std::string seen = read_file(out);
  CHECK(seen.find("PGFOREMAN_MESSAGE_ID=") != std::string::npos);
  CHECK(seen.find("s3cret") == std::string::npos);
  CHECK(fleet.log_text().find("s3cret") == std::string::npos);
  stop_cleanly(fleet);
}

TEST_CASE("The default is a child for each CPU, each with one named connection", "[startup]") {
  Bed bed;
  Settings settings = bed.settings();
  settings.erase("CONCURRENCY");
  settings["CONCURENCY"] = "7";
  Fleet fleet(settings);
  const auto children = fleet.status().slots.size();
  CHECK(children >= 1);
  CHECK(children <= static_cast<std::size_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  CHECK(bed.sql.number("select count(*) from pg_stat_activity where application_name like "
                       "'pgforeman consumer % q'") == static_cast<std::int64_t>(children));
  CHECK(bed.sql.number("select count(*) from pg_stat_activity where application_name = "
                       "'pgforeman maintenance q'") == 1);
  // A slip in a name is no mistake, but said.
  CHECK(fleet.errors().find("PGFOREMAN_CONCURENCY") != std::string::npos);
  CHECK(fleet.errors().find("PGFOREMAN_CONCURRENCY") != std::string::npos);
  stop_cleanly(fleet);
}

TEST_CASE("A parent's ignored signals, closed streams and low limits do not harm a fleet",
          "[startup]") {
  for (const std::string how : {"trap '' CHLD TERM HUP; exec \"$@\"", "exec \"$@\" 0<&- 2>&-",
                                "exec \"$@\" 0<&- 1>&- 2>&-", "ulimit -n 64; exec \"$@\""}) {
    INFO(how);
    Bed bed;
    const int port = free_port();
    Fleet fleet(
        bed.settings({{"HEALTH_PORT", std::to_string(port)}}), Fleet::Wait::nothing,
        [&](Launch& what) { what.argv = {"/bin/sh", "-c", how, "sh", binary_path(), "run"}; });
    REQUIRE(eventually([&] { return http_get(port, "/readyz").status == 200; }));
    REQUIRE(fleet.wait_ready());
    // Nothing of the fleet's own where something may write for a person to read.
    for (const std::string fd : {"0", "1", "2"}) {
      const auto path = "/proc/" + std::to_string(fleet.pid()) + "/fd/" + fd;
      CHECK(std::filesystem::read_symlink(path).string().rfind("anon_inode", 0) != 0);
    }
    bed.send(8);
    CHECK(bed.wait_until_empty(10s));
    ::kill(fleet.status().slots[0].pid, SIGKILL);
    CHECK(fleet.wait_for_status(
        [](const Status& status) { return status.slots[0].epoch == 2 && status.ready; }));
    fleet.signal(SIGHUP);
    CHECK(fleet.wait_for_status(
        [](const Status& status) { return status.slots[3].epoch == 2 && status.ready; }));
    stop_cleanly(fleet);
  }
}
