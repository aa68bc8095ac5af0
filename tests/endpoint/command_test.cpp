// `pgforeman health` and `pgforeman status`, run as a process runs them.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "commands/commands.h"
#include "loopback.h"
#include "queue/migrate.h"
#include "queue/producer.h"
#include "support/catch.h"
#include "support/postgres.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

struct Ran {
  int code = -1;
  std::string out, err;
};

/// A temporary file that a child writes and this process reads afterwards.
class Captured {
 public:
  Captured() : file_(std::tmpfile()) { REQUIRE(file_ != nullptr); }
  ~Captured() { std::fclose(file_); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  int fd() const { return ::fileno(file_); }
  std::string text() const {
    std::string all;
    std::array<char, 4096> buffer;
    off_t at = 0;
    for (ssize_t n = 0; (n = ::pread(fd(), buffer.data(), buffer.size(), at)) > 0; at += n) {
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  std::FILE* file_;
};

/// Runs a command in a child of its own, with `database_url` as its database.
Ran run(ExitCode (*command)(Args), std::vector<const char*> words,
        const std::string& database_url = "postgresql://nobody@127.0.0.1:1/none") {
  const Captured out, err;
  std::fflush(nullptr);  // or the child prints what this process has buffered, too
  std::cout.flush();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(30);
    ::dup2(out.fd(), STDOUT_FILENO);
    ::dup2(err.fd(), STDERR_FILENO);
    ::setenv("PGFOREMAN_DATABASE_URL", database_url.c_str(), 1);
    int code = 99;
    try {
      code = to_int(command(words));
    } catch (const std::exception& error) {
      std::fprintf(stderr, "escaped: %s\n", error.what());
    }
    std::fflush(nullptr);
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  REQUIRE(WIFEXITED(status));
  return {WEXITSTATUS(status), out.text(), err.text()};
}

/// A port without a listener.
std::string free_port() {
  boost::asio::io_context io;
  return std::to_string(Endpoint(io, "127.0.0.1", 0, sample_view).port());
}

std::string migrated_database(const std::string& name) {
  const std::string conninfo = ThrowawayPostgres::shared().create_database(name);
  ConnectionSettings settings;
  settings.conninfo = conninfo;
  settings.application_name = "pgforeman test";
  Connection connection(settings);
  migrate(connection, {});
  Producer producer(connection, "orders");
  for (int i = 0; i < 3; ++i) producer.send("{}", {});
  return conninfo;
}

}  // namespace

TEST_CASE("health exits 0 when the fleet is live, else 1 with the reason, also without an answer",
          "[command]") {
  {
    const ServerProcess server;
    const std::string port = std::to_string(server.port);
    const Ran ran = run(command_health, {"--health-port", port.c_str()});
    CHECK(ran.code == 0);
    CHECK(ran.out == "ok\n");
    CHECK(ran.err.empty());
  }
  {
    FleetView dead = sample_view();
    dead.live = false;
    dead.not_live_reason = "every slot is crash-looping";
    const ServerProcess server([&] { return dead; });
    const std::string port = std::to_string(server.port);
    const Ran ran = run(command_health, {"--health-port", port.c_str(), "--timeout", "5s"});
    CHECK(ran.code == 1);
    CHECK(ran.out == "every slot is crash-looping\n");
  }
  const std::string port = free_port();
  const Ran ran = run(command_health, {"--health-port", port.c_str()});
  CHECK(ran.code == 1);
  CHECK_THAT(ran.err, contains("127.0.0.1:" + port) && contains("Connection refused"));
}

TEST_CASE("health and status name a wrong argument and exit 64 or 78", "[command]") {
  for (auto* command : {command_health, command_status}) {
    const Ran timeout = run(command, {"--timeout", "5 parsecs"});
    CHECK(timeout.code == 64);
    CHECK_THAT(timeout.err, contains("--timeout") && contains("5 parsecs") && contains("2s"));
    CHECK(run(command, {"--timeout", "0s"}).code == 64);
    CHECK(run(command, {"--timeout", "2h"}).code == 64);
    const Ran extra = run(command, {"please"});
    CHECK(extra.code == 64);
    CHECK_THAT(extra.err, contains("'please'"));
    const Ran port = run(command, {"--health-port", "70000"});
    CHECK(port.code == 78);
    CHECK_THAT(port.err, contains("70000"));
    CHECK(run(command, {"--nonsense"}).code != 0);
    const Ran help = run(command, {"--help"});
    CHECK(help.code == 0);
    CHECK_THAT(help.out, contains("Usage: pgforeman") && contains("--timeout") &&
                             contains("Exit codes") && contains("HEALTH_PORT"));
  }
}

TEST_CASE("status prints the fleet and its queue, or both as one JSON object", "[command]") {
  const ServerProcess server;
  const std::string port = std::to_string(server.port);
  const Ran text = run(command_status, {"--health-port", port.c_str()});
  CHECK(text.code == 0);
  CHECK_THAT(text.out, contains("SLOT") && contains("maintenance") && contains("42 (attempt 2)") &&
                           contains("queue 'orders': 10 ready"));
  CHECK(text.err.empty());

  const Ran json = run(command_status, {"--json", "--health-port", port.c_str()});
  CHECK(json.code == 0);
  const nlohmann::json both = nlohmann::json::parse(json.out);
  CHECK(both["fleet"] == nlohmann::json::parse(render_status(sample_view())));
  CHECK(both["queue"]["ready"] == 10);
  CHECK(both["queue"]["source"] == "fleet");
}

TEST_CASE("without a fleet status counts in the database and changes nothing there", "[command]") {
  const std::string conninfo = migrated_database("status_counts");
  Sql sql(conninfo);
  const std::string before = sql.query("select string_agg(m::text, '|') from pgforeman.message m");
  const std::string port = free_port();
  const Ran text =
      run(command_status, {"--queue", "orders", "--health-port", port.c_str()}, conninfo);
  CHECK(text.code == 0);
  CHECK_THAT(text.out, contains("queue 'orders': 3 ready, 0 scheduled"));
  CHECK_THAT(text.err, contains("Connection refused"));

  const Ran json = run(command_status, {"--queue", "orders", "--queue-only", "--json"}, conninfo);
  CHECK(json.code == 0);
  CHECK(json.err.empty());
  const nlohmann::json both = nlohmann::json::parse(json.out);
  CHECK(both["fleet"].is_null());
  CHECK(both["queue"]["ready"] == 3);
  CHECK(both["queue"]["source"] == "database");
  CHECK(sql.query("select string_agg(m::text, '|') from pgforeman.message m") == before);
}

TEST_CASE("status reports when neither fleet nor database answers, and a missing schema",
          "[command]") {
  const std::string port = free_port();
  const Ran nobody = run(command_status, {"--health-port", port.c_str()});
  CHECK(nobody.code == 69);
  CHECK(nobody.out.empty());
  CHECK_THAT(nobody.err, contains("127.0.0.1:" + port));

  const Ran empty = run(command_status, {"--queue-only"},
                        ThrowawayPostgres::shared().create_database("status_empty"));
  CHECK(empty.code == 76);
  CHECK_THAT(empty.err, contains("pgforeman migrate"));
}
