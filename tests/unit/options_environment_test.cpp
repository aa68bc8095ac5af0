#include "options/environment.h"

#include <unistd.h>

#include <fstream>
#include <iterator>

#include "options/conninfo.h"
#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using Texts = std::vector<std::string>;

TEST_CASE("PGFOREMAN_ variables are settings; empty ones are unset", "[environment]") {
  const auto settings =
      scan_environment({"PATH=/bin", "PGFOREMAN_QUEUE=mail",
                        "PGFOREMAN_BATCH=", "pgforeman_queue=x", "PGFOREMAN_QUEUE=second"});
  CHECK(settings.warnings.empty());
  CHECK(settings.values == StringMap{{"QUEUE", "mail"}});
}

TEST_CASE("An unknown PGFOREMAN_ variable is warned of with the nearest name", "[environment]") {
  const auto settings = scan_environment(
      {"PGFOREMAN_CONCURENCY=secret", "PGFOREMAN_ELEPHANT=secret", "PGFOREMAN_queue=secret",
       "PGFOREMAN_=secret", "PGFOREMAN_HANDLER_ENV_=secret", "PGFOREMAN_HANDLER_ENV_1A=secret"});
  CHECK(
      settings.warnings ==
      Texts{
          "PGFOREMAN_CONCURENCY: is not a variable of pgforeman and has no effect; did you mean "
          "PGFOREMAN_CONCURRENCY?",
          "PGFOREMAN_ELEPHANT: is not a variable of pgforeman and has no effect",
          "PGFOREMAN_queue: is not a variable of pgforeman and has no effect; did you mean "
          "PGFOREMAN_QUEUE?",
          "PGFOREMAN_: is not a variable of pgforeman and has no effect",
          "PGFOREMAN_HANDLER_ENV_: what follows HANDLER_ENV_ is not the name of a variable, so it "
          "has no effect",
          "PGFOREMAN_HANDLER_ENV_1A: what follows HANDLER_ENV_ is not the name of a variable, so "
          "it "
          "has no effect"});
}

TEST_CASE("Variables of handlers and of Kubernetes are not warned of", "[environment]") {
  const auto settings = scan_environment(
      {"PGFOREMAN_MESSAGE_ID=1", "PGFOREMAN_ATTEMPT=1", "PGFOREMAN_FENCE=1",
       "PGFOREMAN_ENQUEUED_AT=now", "PGFOREMAN_DEADLINE_SECONDS=3",
       "PGFOREMAN_SERVICE_HOST=10.0.0.1", "PGFOREMAN_SERVICE_PORT=8080",
       "PGFOREMAN_SERVICE_PORT_HTTP=8080", "PGFOREMAN_PORT=tcp://10.0.0.1:8080",
       "PGFOREMAN_PORT_8080_TCP=tcp://10.0.0.1:8080", "PGFOREMAN_PORT_8080_TCP_ADDR=10.0.0.1",
       "PGFOREMAN_WEB_SERVICE_HOST=10.0.0.1", "PGFOREMAN_WEB_PORT_80_TCP_PROTO=tcp",
       "PGFOREMAN_WEB_PORT=tcp://10.0.0.1:80", "PGFOREMAN_HEALTH_SERVICE_PORT=8080"});
  CHECK(settings.warnings.empty());
  CHECK(settings.values.empty());
}

TEST_CASE("A handler inherits everything but our settings and secrets", "[environment]") {
  const auto environment = make_handler_environment(
      {"PATH=/bin", "PGPASSWORD=swordfish", "PGFOREMAN_DATABASE_URL=hunter2", "PGFOREMAN_QUEUE=q",
       "PGFOREMAN_HANDLER_ENV_A=1", "PGFOREMAN_DATABSE_URL=hunter2", "A=old", "TZ=UTC",
       "E=", "PGHOST=h", "PGPASSWORDX=kept"},
      {{"A", "1"}, {"DATABASE_URL", "own"}});
  CHECK(environment == Texts{"PATH=/bin", "TZ=UTC", "E=", "PGHOST=h", "PGPASSWORDX=kept", "A=1",
                             "DATABASE_URL=own"});
}

TEST_CASE("Only an address that libpq can parse is accepted, and none is quoted", "[environment]") {
  for (const char* text : {"postgresql://u:p@h:5432/d", "postgres://h1:1,h2:2/d", "postgres:///d",
                           "host=h password='a b'", "service=app", "", "postgres://u:p%40s@h/d",
                           "postgresql://%2Frun%2Fpg/d?user=u"}) {
    INFO(text);
    CHECK_FALSE(conninfo_problem(text));
  }
  for (const char* text :
       {"hunter2", "http://u:hunter2@h/d", "hunter2=x", "host=h password='hunter2",
        "postgres://u:hunter2@h/d?hunter2=1", "postgres://u:p%zzhunter2@h/d",
        "postgres://u:hunter2/x@h/d", "host=h port=hunter2", "host=h port=0", "port=70000"}) {
    INFO(text);
    const auto problem = conninfo_problem(text);
    REQUIRE(problem);
    CHECK_FALSE(test::contains(*problem, "hunter2"));
  }
}

TEST_CASE("Blanks and line ends around a value are dropped with a warning", "[environment]") {
  const auto settings =
      scan_environment({"PGFOREMAN_QUEUE= mail\r\n", "PGFOREMAN_DATABASE_URL=\xef\xbb\xbfhost=h\n",
                        "PGFOREMAN_HANDLER_ENV_A= kept "});
  CHECK(settings.values == StringMap{{"QUEUE", "mail"}, {"DATABASE_URL", "host=h"}});
  CHECK(settings.handler_env == StringMap{{"A", " kept "}});
  CHECK(settings.warnings ==
        Texts{"PGFOREMAN_QUEUE: blanks or line ends around its value were dropped",
              "PGFOREMAN_DATABASE_URL: blanks or line ends around its value were dropped"});
}

TEST_CASE("An address as platforms and frameworks mangle it is refused with the cause",
          "[environment]") {
  struct Case {
    std::string address;
    std::string cause;
  };
  const std::string rest = "u:hunter2@h:5432/d";
  const std::vector<Case> cases = {
      {"\"postgresql://" + rest + "\"", "quotes"},
      {"'postgresql://" + rest + "'", "quotes"},
      {"'postgresql://" + rest, "quotes"},
      {"postgresql://" + rest + "\"", "quotes"},
      {"\xe2\x80\x9cpostgresql://" + rest + "\xe2\x80\x9d", "quotes"},
      {"\\\"postgres://" + rest + "\\\"", "quotes"},
      {"psql 'postgres://" + rest + "'", "psql command"},
      {"DATABASE_URL=postgres://" + rest, "line of an env file"},
      {"export X=postgres://" + rest, "line of an env file"},
      {"DATABASE_URL: postgres://" + rest, "line of an env file"},
      {"{\"password\":\"hunter2\"}", "JSON"},
      {"${DATABASE_URL}", "reference"},
      {"$(DATABASE_URL)", "reference"},
      {"{{ .Values.url }}", "reference"},
      {"cG9zdGdyZXNxbDovL3U6aHVudGVyMg==", "base64"},
      {"/run/secrets/url", "PGFOREMAN_DATABASE_URL_FILE"},
      {"postgresql+psycopg://" + rest, "postgresql+psycopg"},
      {"postgresql+psycopg2://" + rest, "SQLAlchemy"},
      {"postgresql+asyncpg://" + rest, "SQLAlchemy"},
      {"postgres+asyncpg://" + rest, "scheme"},
      {"jdbc:postgresql://h:5432/d?user=u&password=hunter2", "JDBC"},
      {"ecto://" + rest, "Ecto"},
      {"postgis://" + rest, "scheme"},
      {"pgsql://" + rest, "PHP"},
      {"prisma+postgres://" + rest, "Prisma"},
      {"POSTGRES://" + rest, "capitals"},
      {"mysql://" + rest, "mysql://"},
      {"mongodb+srv://" + rest, "PostgreSQL"},
      {"sqlite:///" + rest, "sqlite"},
      {"hunter2://" + rest, "scheme"},
      {"tcp://10.0.0.1:5432", "service link"},
      {"postgres:" + rest, "://"},
      {"postgres:/" + rest, "://"},
      {rest, "no scheme"},
      {"h:5432/d", "no scheme"},
      {"postgresql://" + rest + "?schema=public", "schema of Prisma"},
      {"postgresql://" + rest + "?sslmode=require&connection_limit=5", "connection_limit"},
      {"postgresql://" + rest + "?pgbouncer=true", "pgbouncer"},
      {"postgresql://" + rest + "?currentSchema=x", "JDBC"},
      {"postgresql://" + rest + "?pool=5&timeout=5000", "Rails"},
      {"postgresql://" + rest + "?serverVersion=16&charset=utf8", "Symfony"},
      {"postgresql://" + rest + "?supa=base-pooler.x", "Supabase"},
      {"postgresql://" + rest + "?ssl=require", "sslmode"},
      {"postgresql://" + rest + "?sslmode=require&amp;connect_timeout=3", "&amp;"},
      {"postgresql://" + rest + "?hunter2=1", "not shown"},
      {"postgresql://" + rest + "?sslmode=yes", "sslmode=yes, which must be disable"},
      {"postgresql://" + rest + "?sslmode=no-verify", "verify-full"},
      {"postgresql://" + rest + "?connect_timeout=5s", "whole number"},
      {"host=h sslmode=true password=hunter2", "sslmode=true"},
      {"host=h username=u password=hunter2", "user"},
      {"host=h database=d password=hunter2", "dbname"},
      {"Host=h;Port=5432;Username=u;Password=hunter2", "semicolons"},
      {"postgresql://u:[YOUR-PASSWORD]@h/d", "placeholder"},
      {"postgresql://u:<password>@h/d", "placeholder"},
      {"postgresql://u:${PGPASSWORD}@h/d", "placeholder"},
      {"postgresql://u:hunter2@$(DB_HOST)/d", "placeholder"},
      {"postgresql://u:hunter2@fd00::1:5432/d", "brackets"},
      {"host=[::1] password=hunter2", "brackets"},
      {"host=h:5432 password=hunter2", "port"},
      {"host=tcp://10.0.0.1:5432 password=hunter2", "service link"},
      {"postgresql://" + rest + " sslmode=require", "blank"},
      {"postgresql://u:hunter2\n@h/d", "line end"},
  };
  for (const auto& [address, cause] : cases) {
    INFO(address);
    const auto problem = conninfo_problem(address);
    REQUIRE(problem);
    INFO(*problem);
    CHECK(test::contains(*problem, cause));
    CHECK_FALSE(test::contains(*problem, "hunter2"));
  }
}

TEST_CASE("A valid address of any platform is accepted", "[environment]") {
  for (const char* address :
       {"postgresql://u:p@[::1]:5432/d", "postgres://u:p@[fd00::1],h:5433/d",
        "postgres://u:p@h.neon.tech/d?sslmode=require&channel_binding=require",
        "postgres://u:p@h.flycast:5432/d?sslmode=disable", "postgres://u:p@h/d?ssl=true",
        "postgresql://u.ref:p@aws-0.pooler.supabase.com:6543/postgres",
        "postgres://u:p%40%2F%3A@h/d?application_name=a%20b&options=-c%20a%3Db",
        "host=/var/run/postgresql user=u password='a b' dbname=d", "host=::1 port=5432",
        "host=h target_session_attrs=read-write", "postgres://u@/d?host=/tmp",
        "host=@abstract dbname='d'", "postgresql://u:p$x{}@h/d"}) {
    INFO(address);
    CHECK(conninfo_problem(address).value_or("") == "");
  }
}

TEST_CASE("PGPASSWORD counts only where the address has no password", "[environment]") {
  CHECK(with_password("", "p") == "password='p'");
  CHECK(with_password("host=h", "a'b\\c d") == "host='h' password='a\\'b\\\\c d'");
  CHECK(with_password("postgresql://u@h:1,i:2/d?sslmode=require", "p") ==
        "dbname='d' host='h,i' password='p' port='1,2' sslmode='require' user='u'");
  for (const char* own : {"host=h password=x", "host=h password=''", "postgres://u:x@h/d",
                          "postgres://h/d?password=x"}) {
    CHECK(with_password(own, "p") == own);
  }
  CHECK_FALSE(conninfo_problem(with_password("host=h", "a'b\\c d")));
  CHECK(with_password(with_password("host=h", "a'b\\c d"), "other") ==
        with_password("host=h", "a'b\\c d"));
}

TEST_CASE("An address is read from a file's only line", "[environment]") {
  const test::TempDir dir;
  const auto read = [&](const std::string& text) {
    return read_conninfo_file(dir.write("url", text));
  };
  CHECK(*read("postgres://u:p@h/d\n").value == "postgres://u:p@h/d");
  CHECK(*read("postgres://u:p@h/d\r\n").value == "postgres://u:p@h/d");
  CHECK(*read("host=h").value == "host=h");
  CHECK(read("").problem == "is empty; it must hold what DATABASE_URL would");
  CHECK(read("\n").problem == "is empty; it must hold what DATABASE_URL would");
  CHECK(*read("\xef\xbb\xbf host=h \r\n\n").value == "host=h");
  CHECK(read("host=h\nport=1\n").problem == "holds more than one line");
  CHECK(test::contains(read("\xff\xfeh").problem, "UTF-16"));
  CHECK(read(std::string("host=\0h", 7)).problem == "holds a NUL byte");
  CHECK(test::contains(read("hunter2").problem, "is neither a postgresql:// URL nor"));
  CHECK_FALSE(test::contains(read("hunter2").problem, "hunter2"));
  CHECK(read(std::string(70'000, 'x')).problem == "is longer than 65536 bytes");
  CHECK(read_conninfo_file(dir.path() + "/none").problem ==
        "cannot be read: No such file or directory");
}

TEST_CASE("The file of the database's address is read anew each time", "[environment]") {
  const test::TempDir dir;
  Options options;
  CHECK(resolve_conninfo(options).empty());
  options.database_url = "host=h";
  CHECK(resolve_conninfo(options) == "host=h");
  options.database_url.clear();
  options.database_url_file = dir.write("url", "host=before\n");
  CHECK(resolve_conninfo(options) == "host=before");
  dir.write("url", "host=after\n");
  CHECK(resolve_conninfo(options) == "host=after");
  dir.write("url", "hunter2\n");
  try {
    resolve_conninfo(options);
    FAIL("a file that holds no address was accepted");
  } catch (const std::runtime_error& error) {
    CHECK(test::contains(error.what(), dir.path() + "/url: "));
    CHECK_FALSE(test::contains(error.what(), "hunter2"));
  }
}

// Hidden: it needs the environment that CTest starts it with, and changes the process for good.
TEST_CASE("Secrets leave the environment, also as /proc shows it", "[.capture_secrets]") {
  const auto shown_environment = [] {
    std::ifstream in("/proc/self/environ", std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  REQUIRE(test::contains(shown_environment(), "hunter2"));
  REQUIRE(test::contains(shown_environment(), "swordfish"));

  for (int time = 0; time < 2; ++time) {  // a second call must not forget what the first one took
    capture_secrets();
    CHECK_FALSE(test::contains(shown_environment(), "hunter2"));
    CHECK_FALSE(test::contains(shown_environment(), "swordfish"));
    CHECK(test::contains(shown_environment(), "PGHOST=kept"));
    for (char** entry = ::environ; *entry != nullptr; ++entry) {
      CHECK(std::string(*entry).find("PGPASSWORD") != 0);
      CHECK(std::string(*entry).find("PGFOREMAN_DATABASE_URL") != 0);
    }
  }

  for (int time = 0; time < 2; ++time) {  // at the start, and again at HUP
    const test::Words args = {"--handler", "/bin/cat"};
    const LoadResult result = load_options(Command::run, args);
    CHECK(result.errors.empty());
    CHECK(result.options.database_url == "postgresql://w:hunter2@db/app");
    CHECK(resolve_conninfo(result.options) == "postgresql://w:hunter2@db/app");
    for (const std::string& entry : result.options.handler_environment) {
      CHECK_FALSE(test::contains(entry, "hunter2"));
      CHECK_FALSE(test::contains(entry, "swordfish"));
    }
  }
  Options without_password;
  without_password.database_url = "host=h";
  CHECK(resolve_conninfo(without_password) == "host='h' password='swordfish'");
}
