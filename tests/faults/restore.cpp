#include "faults/restore.h"

#include <ctime>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pgforeman::test {
namespace {

// `before`: what the queue has had until now and knows no more is lost with it.
constexpr const char* kBefore = R"(\set ON_ERROR_STOP on
set statement_timeout = '10s';
set lock_timeout = '300ms';
begin isolation level read committed read write;
lock table pgforeman.message, pgforeman.dead_message in access exclusive mode;
create temporary table before on commit drop as
  select public.number_of(id, payload) n from pgforeman.message
  union all select public.number_of(id, payload) from pgforeman.dead_message;
set local client_min_messages = warning;
drop schema pgforeman cascade;
)";

// A trigger of fault changes-refused may be in the dump, and would stay for ever.
constexpr const char* kAfter = R"(
drop trigger if exists refuse on pgforeman.message;
create temporary table back on commit drop as
  select public.number_of(id, payload) n from pgforeman.message;
create temporary table lost on commit drop as
  select n from pg_temp.before except select n from pg_temp.back
  except select public.number_of(id, payload) from pgforeman.dead_message;
select 'back', n from pg_temp.back union all select 'lost', n from pg_temp.lost;
delete from public.gone
where n in (select n from pg_temp.back union all select n from pg_temp.lost);
commit;
)";

double monotonic_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

Backup::Backup(const ThrowawayPostgres& server, const std::string& database)
    : server_(server),
      database_(server.conninfo(database) + " connect_timeout=5"),
      dump_(server.folder() + "/dump.sql"),
      script_(server.folder() + "/restore.sql") {
  server_.run_program({"pg_dump", "-d", database_, "--schema", "pgforeman", "--file", dump_,
                       "--lock-wait-timeout", "1000"});
  std::ofstream(script_) << kBefore << "\\i " << dump_ << kAfter;
}

Restore Backup::restore() {
  if (monotonic_seconds() < next_try_) throw std::runtime_error("what was in the way may still be");
  next_try_ = monotonic_seconds() + 1;
  std::istringstream said(server_.run_program(
      {"psql", "--no-psqlrc", "-qAt", "-F", " ", "-d", database_, "-f", script_}));
  Restore restore;
  restore.at = monotonic_seconds();
  for (std::string line; std::getline(said, line);) {
    std::istringstream words(line);
    std::string what;
    std::int64_t id = 0;
    words >> what >> id;
    if (words && what == "back") restore.back.insert(id);
    if (words && what == "lost") restore.lost.insert(id);
  }
  return restore;
}

}  // namespace pgforeman::test
