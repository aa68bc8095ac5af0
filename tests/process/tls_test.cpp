// TLS to PostgreSQL with verify-full: certificates that are right, wrong and expired.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "process/bed.h"
#include "support/faketime.h"

using namespace pgforeman::test;

namespace {

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system((command + " >/dev/null 2>&1 </dev/null").c_str()) == 0);
}

/// Certificates as another server would have them.
class Certificates {
 public:
  Certificates() {
    authority("ca");
    authority("other-ca");
    certificate("right", "ca", "localhost");
    certificate("of-another-authority", "other-ca", "localhost");
    certificate("of-another-host", "ca", "db.example.com");
    certificate("expired", "ca", "localhost",
                "env FAKETIME='2020-01-01 00:00:00' LD_PRELOAD=" + faketime_library() + " ");
  }

  std::string file(const std::string& name) const { return folder_.file(name); }

  /// What the server shows from its next reload on.
  void show(const std::string& name) const {
    namespace fs = std::filesystem;
    for (const std::string end : {".crt", ".key"}) {
      const std::string to = folder_.file("server" + end);
      fs::copy_file(folder_.file(name + end), to, fs::copy_options::overwrite_existing);
      REQUIRE(::chmod(to.c_str(), 0600) == 0);
      if (const passwd* user = server_user()) {
        REQUIRE(::chown(to.c_str(), user->pw_uid, user->pw_gid) == 0);
      }
    }
  }

  std::string settings() const {
    return "ssl = on\nssl_cert_file = '" + folder_.file("server.crt") + "'\nssl_key_file = '" +
           folder_.file("server.key") + "'\n";
  }

 private:
  void authority(const std::string& name) const {
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
        " -subj /CN=" +
        name + " -keyout " + file(name + ".key") + " -out " + file(name + ".crt"));
  }

  void certificate(const std::string& name, const std::string& authority, const std::string& host,
                   const std::string& at = "") const {
    run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + host +
        " -keyout " + file(name + ".key") + " -out " + file(name + ".csr"));
    run(at + "openssl x509 -req -in " + file(name + ".csr") + " -CA " + file(authority + ".crt") +
        " -CAkey " + file(authority + ".key") + " -CAcreateserial -days 30 -out " +
        file(name + ".crt"));
  }

  TempFolder folder_;
};

}  // namespace

TEST_CASE("With verify-full a fleet works under the right certificate alone", "[tls]") {
  const Certificates certificates;
  certificates.show("right");
  ThrowawayPostgres server(certificates.settings());
  Sql sql(server.create_database("mail"));
  const std::string url =
      "host=localhost hostaddr=127.0.0.1 port=" + std::to_string(server.port()) +
      " user=postgres password=s3cret dbname=mail sslmode=verify-full"
      " sslrootcert=" +
      certificates.file("ca.crt");
  REQUIRE(run_command({"migrate"}, {{"DATABASE_URL", url}}).code == 0);
  Fleet fleet({{"DATABASE_URL", url}, {"HANDLER", "/bin/true"}, {"CONCURRENCY", "2"}});
  CHECK(sql.number("select count(*) from pg_stat_activity a join pg_stat_ssl s using (pid)"
                   " where a.application_name like 'pgforeman %' and s.ssl") == 3);

  for (const std::string wrong : {"of-another-authority", "of-another-host", "expired"}) {
    INFO(wrong);
    certificates.show(wrong);
    sql.query("select pg_reload_conf()");
    // The server reads it a moment after its signal.
    CHECK(eventually([&] {
      return run_command({"send", "q", "1"}, {{"DATABASE_URL", url}}).code == 69;
    }));
    const auto refused = run_command({"send", "q", "1"}, {{"DATABASE_URL", url}});
    CHECK(refused.code == 69);
    CHECK_THAT(refused.err, contains("certificate"));
    sql.query(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where application_name like 'pgforeman %'");
    REQUIRE(fleet.wait_for_status([](const Status& s) { return !s.ready; }));
    CHECK(fleet.get("/livez").status == 200);
    certificates.show("right");
    sql.query("select pg_reload_conf()");
    REQUIRE(fleet.wait_ready());
  }
  const auto failures = fleet.log("database session failed, will keep trying");
  REQUIRE_FALSE(failures.empty());
  CHECK(fleet.status().exits.empty());
  CHECK(eventually([&] { return sql.number("select count(*) from pgforeman.message") == 0; }));
  // No output of the fleet has the password.
  std::string seen = fleet.log_text() + fleet.get("/status").body + fleet.metrics();
  for (const pid_t pid : fleet.processes()) {
    const std::string proc = "/proc/" + std::to_string(pid);
    seen += read_file(proc + "/cmdline") + read_file(proc + "/environ");
  }
  CHECK(seen.find("s3cret") == std::string::npos);
  stop_cleanly(fleet);
}
