#include "process/bed.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sstream>

#include "queue/connection.h"
#include "queue/migrate.h"

namespace pgforeman::test {
namespace {

std::string migrated_database(ThrowawayPostgres& server, const std::string& name) {
  ConnectionSettings settings;
  settings.conninfo = server.create_database(name);
  Connection connection(settings);
  migrate(connection, {});
  return settings.conninfo;
}

std::string copied_database() {
  static int count = 0;
  auto& server = ThrowawayPostgres::shared();
  if (count == 0) migrated_database(server, "bed_template");
  return server.create_database("bed_" + std::to_string(++count), "bed_template");
}

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

Bed::Bed() : conninfo(copied_database()), sql(conninfo) {}
Bed::Bed(ThrowawayPostgres& server) : conninfo(migrated_database(server, "bed")), sql(conninfo) {}

std::string Bed::handler(const std::string& mode) const {
  return TEST_HANDLER_PATH " " + mode + " " + folder.file("runs");
}

Settings Bed::settings(const Settings& more) const {
  Settings all = more;
  const auto mode = all.find("HANDLER_MODE");
  all.emplace("DATABASE_URL", conninfo);
  all.emplace("HANDLER", handler(mode == all.end() ? "exec" : mode->second));
  all.emplace("CONCURRENCY", "4");
  return all;
}

void Bed::send(int count, const std::string& payload) {
  sql.query("select count(*) from pgforeman.send_batch('q', (select array_agg('" + payload +
            "'::jsonb) from generate_series(1, " + std::to_string(count) + ")))");
}

std::int64_t Bed::claimable() {
  return sql.number(
      "select count(*) from pgforeman.message where state = 0 and visible_at <= clock_timestamp()");
}

bool Bed::wait_until_empty(std::chrono::milliseconds limit) {
  return eventually([&] { return left() == 0; }, limit);
}

std::vector<Run> Bed::runs() const {
  std::vector<Run> all;
  for (const auto& line : read_lines(folder.file("runs"))) {
    Run run;
    std::istringstream(line) >> run.id >> run.attempt >> run.fence >> run.time >> run.pid;
    all.push_back(run);
  }
  return all;
}

bool Bed::wait_for_runs(std::size_t count, std::chrono::milliseconds limit) const {
  return eventually([&] { return read_lines(folder.file("runs")).size() >= count; }, limit);
}

std::vector<pid_t> Bed::crowd() const {
  std::vector<pid_t> pids;
  for (const auto& line : read_lines(folder.file("runs.crowd"))) pids.push_back(std::stoi(line));
  return pids;
}

void Bed::hold_again() const {
  ::unlink(folder.file("runs.go").c_str());
}

std::size_t distinct(const std::vector<Run>& runs) {
  std::set<std::int64_t> ids;
  for (const auto& run : runs) ids.insert(run.id);
  return ids.size();
}

int number_from(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

Settings with(Settings settings, const Settings& more) {
  for (const auto& [name, value] : more) settings[name] = value;
  return settings;
}

double wall_now() {
  return seconds_of(CLOCK_REALTIME);
}
double monotonic_now() {
  return seconds_of(CLOCK_MONOTONIC);
}

Figures figures(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.back()};
}

std::string in_ms(const std::vector<double>& seconds) {
  const Figures all = figures(seconds);
  std::ostringstream text;
  text << "median " << std::round(all.median * 1e4) / 10 << " ms, worst "
       << std::round(all.worst * 1e4) / 10 << " ms";
  return text.str();
}

double allowed(double seconds) {
  return daemon_is_sanitized() ? seconds * 5 : seconds;
}

int repeated(int count, int less) {
  return daemon_is_sanitized() ? count / less : count;
}

void say(const std::string& line) {
  std::printf("FIGURE %s\n", line.c_str());
  std::fflush(stdout);
}

void refuse_updates(Sql& sql, const std::string& condition) {
  sql.query("create function refuse() returns trigger language plpgsql as $$ begin if " +
            condition +
            " then raise 'not this one'; end if; return new; end $$;"
            "create trigger refuse before update on pgforeman.message"
            " for each row execute function refuse()");
}

void stop_cleanly(Fleet& fleet, std::chrono::milliseconds limit) {
  CHECK(fleet.stop(limit) == 0);
  CHECK(fleet.processes().empty());
  CHECK(fleet.last_words() == "");
  for (const auto& line : fleet.log()) {
    INFO(line["error"]);
    CHECK(line.message.find("this is a bug") == std::string::npos);
  }
}

}  // namespace pgforeman::test
