#include "queue/connection.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "queue/conninfo.h"
#include "queue/database.h"
#include "queue/error_kind.h"
#include "system/clock.h"

using namespace pgforeman;
using namespace pgforeman::test;
using Kind = DatabaseError::Kind;

namespace {

struct Failure {
  Kind kind;
  std::string what;
  Millis took;
};

Failure failure_of(const std::function<void()>& call) {
  const auto start = Clock::now();
  try {
    call();
  } catch (const DatabaseError& e) {
    return {e.kind(), e.what(), std::chrono::duration_cast<Millis>(Clock::now() - start)};
  }
  FAIL("nothing was thrown");
  std::abort();
}

}  // namespace

TEST_CASE("A call to a stopped server ends when the watchdog's time is up, not before",
          "[connection]") {
  ThrowawayPostgres server;
  for (const bool tcp : {false, true}) {
    ConnectionSettings settings = settings_for(tcp ? server.tcp_url() : server.conninfo());
    settings.watchdog = Millis{400};
    Connection connection(settings);
    migrate(connection, {});
    Queue queue(connection, "q");
    server.pause();
    const Failure failure = failure_of([&] { queue.tick(); });
    server.resume();
    CHECK(failure.kind == Kind::connection);
    CHECK_THAT(failure.what, contains("did not answer within 400 ms"));
    CHECK(failure.took >= Millis{390});
    CHECK(failure.took < Millis{2000});
    CHECK(failure_of([&] { queue.tick(); }).kind == Kind::connection);  // no silent reconnect
  }
}

TEST_CASE("The watchdog does not end calls that answer in time", "[connection]") {
  Database db;
  ConnectionSettings settings = settings_for(db.conninfo);
  settings.watchdog = Millis{250};
  Connection connection(settings);
  Queue queue(connection, "q");
  const auto end = Clock::now() + 4 * settings.watchdog;
  int calls = 0;
  while (Clock::now() < end) {
    queue.claim(1, {Token{1}}, Millis{1000});
    ++calls;
  }
  CHECK(calls > 5);
}

TEST_CASE("A connection to a restarted or killed server is lost for good", "[connection]") {
  ThrowawayPostgres server;
  for (const bool kill : {false, true}) {
    auto connection = std::make_unique<Connection>(settings_for(server.tcp_url()));
    migrate(*connection, {});
    Queue queue(*connection, "q");
    kill ? server.kill9() : server.stop_fast();
    CHECK(failure_of([&] { queue.tick(); }).kind == Kind::connection);
    CHECK(failure_of([&] { Connection(settings_for(server.tcp_url())); }).kind == Kind::connection);
    server.start();
    CHECK(failure_of([&] { queue.tick(); }).kind == Kind::connection);
    Connection again(settings_for(server.tcp_url()));
    Queue(again, "q").tick();
  }
}

TEST_CASE("A session that an administrator ended is lost", "[connection]") {
  Database db;
  db.sql.query(
      "select pg_terminate_backend(pid) from pg_stat_activity "
      "where datname = current_database() and application_name = 'pgforeman test'");
  CHECK(failure_of([&] { db.queue.tick(); }).kind == Kind::connection);
}

TEST_CASE("Connecting to a server that accepts and stays silent times out", "[connection]") {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener, 5) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  auto settings = settings_for(
      "postgresql://u:geheim@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/d");
  settings.connect_timeout = Millis{1000};
  const Failure failure = failure_of([&] { Connection connection(settings); });
  CHECK(failure.kind == Kind::connection);
  CHECK(failure.took < Millis{4000});
  CHECK_THAT(failure.what, !contains("geheim"));
  ::close(listener);
}

TEST_CASE("A failed connection names the reason on one line, without the password",
          "[connection]") {
  auto& server = ThrowawayPostgres::shared();
  const std::string port = std::to_string(server.port());
  Failure failure = failure_of([&] {
    Connection connection(
        settings_for("postgresql://nobody:geheim@127.0.0.1:" + port + "/postgres"));
  });
  CHECK(failure.kind == Kind::connection);
  CHECK_THAT(failure.what, contains("nobody") && !contains("geheim") && !contains("\n"));
  failure = failure_of([&] { Connection connection(settings_for(server.conninfo("no_such_db"))); });
  CHECK(failure.kind == Kind::connection);
  CHECK_THAT(failure.what, contains("no_such_db"));
  for (const std::string wrong : {"password=geheim nonsense", "passwort=geheim"}) {
    failure = failure_of([&] { Connection connection(settings_for(wrong)); });
    CHECK(failure.kind == Kind::connection);
    CHECK_THAT(failure.what, !contains("heim"));
    CHECK_THAT(failure.what, contains("the database URL"));
  }
}

TEST_CASE("Defaults fill in what a URL, a keyword string or an empty one leaves open",
          "[connection]") {
  ConnectionSettings settings;
  settings.application_name = "it's me";
  CHECK_THAT(complete_conninfo(settings),
             contains("connect_timeout='5'") && contains("keepalives_idle='10'") &&
                 contains("keepalives_interval='5'") && contains("keepalives_count='3'") &&
                 contains("tcp_user_timeout='15000'") && contains("client_encoding='UTF8'") &&
                 contains("fallback_application_name='it\\'s me'"));
  settings.conninfo = "postgresql://u:p%27%5C@h/d?connect_timeout=9&application_name=mine";
  CHECK_THAT(complete_conninfo(settings),
             contains("password='p\\'\\\\'") && contains("connect_timeout='9'") &&
                 !contains("connect_timeout='5'") && contains(" host='h'"));
  settings.conninfo = "host=h keepalives_idle=77 client_encoding=LATIN1";
  CHECK_THAT(complete_conninfo(settings), contains("keepalives_idle='77'") && !contains("LATIN1"));
}

TEST_CASE("A session names itself and has a statement timeout", "[connection]") {
  Database db;
  Connection connection([&] {
    auto settings = settings_for(db.conninfo);
    settings.application_name = "pgforeman slot 3";
    settings.statement_timeout = Millis{300};
    return settings;
  }());
  CHECK(db.sql.number("select count(*) from pg_stat_activity where application_name = "
                      "'pgforeman slot 3'") == 1);
  db.sql.query("begin; lock pgforeman.message");
  const Failure failure = failure_of([&] { Producer(connection, "q").send("1"); });
  CHECK(failure.kind == Kind::transient);
  CHECK(failure.took >= Millis{290});
  CHECK(failure.took < Millis{5000});
  db.sql.query("rollback");
  Producer(connection, "q").send("1");
}

TEST_CASE("A session with outdated prepared statements goes on without them", "[connection]") {
  Database db;
  CHECK(db.queue.counts().ready == 0);
  db.sql.query(
      "drop function pgforeman.tick, pgforeman.counts;"
      "create function pgforeman.counts(text) returns table (ready int, scheduled int, running int,"
      " dead int, oldest_seconds double precision, capped boolean) language sql"
      " as $$ select 7, 0, 0, 0, 0.0::double precision, false $$");
  CHECK(db.queue.counts().ready == 7);
  db.sql.query(
      "create or replace function pgforeman.counts(text) returns table (ready int, scheduled int,"
      " running int, dead int, oldest_seconds double precision, capped boolean) language plpgsql"
      " as $$ begin raise 'not here' using errcode = '0A000'; end $$");
  const Failure refused = failure_of([&] { db.queue.counts(); });
  CHECK(refused.kind == Kind::rejected);
  CHECK(refused.what == "not here");
}

TEST_CASE("A role with the default of repeatable read works like any other", "[connection]") {
  Database db;
  db.sql.query(
      "do $$ begin create role careful login superuser; exception when others then end $$");
  db.sql.query("alter role careful set default_transaction_isolation = 'repeatable read'");
  db.sql.query("select count(pgforeman.send('q', '1')) from generate_series(1, 1000)");
  std::vector<std::thread> consumers;
  std::atomic<int> settled{0}, failed{0};
  std::atomic<std::int64_t> token{0};
  for (int i = 0; i < 4; ++i) {
    consumers.emplace_back([&] {
      try {
        Connection connection(settings_for(db.conninfo + " user=careful"));
        Queue queue(connection, "q");
        for (;;) {
          std::vector<Settlement> batch;
          for (const auto& m : queue.claim(3, {Token{++token}}, Millis{60000}))
            batch.push_back({m.lease(), {}});
          if (batch.empty()) return;
          settled += static_cast<int>(queue.settle(batch, RetryRule{}).size());
        }
      } catch (const std::exception&) {
        ++failed;
      }
    });
  }
  for (auto& consumer : consumers) consumer.join();
  CHECK(failed == 0);
  CHECK(settled == 1000);
}

TEST_CASE("A read-only session is an error that names it", "[connection]") {
  Database db;
  Connection connection(
      settings_for(db.conninfo + " options='-c default_transaction_read_only=on'"));
  CHECK(failure_of([&] { Producer(connection, "q").send("1"); }).kind == Kind::read_only);
}

TEST_CASE("SQLSTATEs tell whether to reconnect, to retry or to give up", "[connection]") {
  for (const char* state : {"08006", "57P01", "57P02", "57P03", "25P03"}) {
    CHECK(kind_of(state) == Kind::connection);
  }
  for (const char* state : {"40001", "40P01", "53100", "53300", "57014", "XX000"}) {
    CHECK(kind_of(state) == Kind::transient);
  }
  CHECK(kind_of("55P03") == Kind::locked);
  CHECK(kind_of("25006") == Kind::read_only);
  CHECK(kind_of("42501") == Kind::permission);
  for (const char* state : {"3F000", "42P01", "42883"}) CHECK(kind_of(state) == Kind::schema);
  for (const char* state : {"22P02", "22023", "23505", ""}) CHECK(kind_of(state) == Kind::rejected);
  const auto error = to_database_error("22P02", "FEHLER:  so nicht\nDETAIL:  Token \"geheim\"");
  CHECK(error.what() == std::string("so nicht"));
}
