#include "options/load.h"

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using pgforeman::test::contains;
using pgforeman::test::load;
using pgforeman::test::messages;
using Texts = std::vector<std::string>;

TEST_CASE("Without settings every option has its documented default", "[load]") {
  const LoadResult result = load(Command::run, {});
  CHECK(messages(result).empty());
  const Options& options = result.options;
  CHECK(options.queue == "default");
  CHECK(options.concurrency == 3);  // the CPUs that the test says there are
  CHECK(options.handler_mode == HandlerMode::exec);
  CHECK(options.handler_timeout == std::chrono::minutes(5));
  CHECK(options.visibility_timeout == std::chrono::seconds(30));
  CHECK(options.batch == 0);  // auto
  CHECK(options.poll_interval == std::chrono::seconds(1));
  CHECK(options.max_attempts == 5);
  CHECK(options.retry_backoff == std::chrono::seconds(1));
  CHECK(options.retry_backoff_max == std::chrono::minutes(5));
  CHECK(options.health_address == "::");
  CHECK(options.health_port == 8080);
  CHECK(options.boot_timeout == std::chrono::seconds(30));
  CHECK(options.shutdown_grace == std::chrono::seconds(25));
  CHECK(options.restart_backoff == std::chrono::milliseconds(100));
  CHECK(options.restart_backoff_max == std::chrono::seconds(30));
  CHECK(options.max_messages == 0);
  CHECK(options.max_memory.bytes == 0);
  CHECK(options.crash_loop_count == 5);
  CHECK(options.crash_loop_window == std::chrono::seconds(60));
  CHECK(options.log_format == log::Format::text);
  CHECK(options.log_level == log::Level::info);
  CHECK(options.handler_argv == Texts{"/bin/cat"});
}

TEST_CASE("A flag wins over the environment, that over the file, that over the default", "[load]") {
  const test::TempDir dir;
  const std::string config =
      "PGFOREMAN_CONFIG=" + dir.write("c", "QUEUE=file\nBATCH=2\nMAX_ATTEMPTS=2\n");
  const LoadResult result = load(Command::run, {"--queue=flag"},
                                 {config, "PGFOREMAN_QUEUE=variable", "PGFOREMAN_BATCH=3"});
  CHECK(messages(result).empty());
  CHECK(result.options.queue == "flag");
  CHECK(result.options.batch == 3);
  CHECK(result.options.max_attempts == 2);
  CHECK(result.options.health_port == 8080);
}

TEST_CASE("An empty variable or key counts as unset", "[load]") {
  const test::TempDir dir;
  const std::string config = "PGFOREMAN_CONFIG=" + dir.write("c", "QUEUE=file\nBATCH=\n");
  const LoadResult result = load(
      Command::run, {}, {config, "PGFOREMAN_QUEUE=", "PGFOREMAN_BATCH=", "PGFOREMAN_LOG_LEVEL="});
  CHECK(messages(result).empty());
  CHECK(result.options.queue == "file");
  CHECK(result.options.batch == 0);
}

TEST_CASE("Only the value that wins is checked", "[load]") {
  CHECK(messages(load(Command::run, {"--batch=5"}, {"PGFOREMAN_BATCH=nonsense"})).empty());
}

TEST_CASE("All mistakes are reported together, named the way they were given", "[load]") {
  const test::TempDir dir;
  const std::string path = dir.write("c", "# c\nHEALTH_PORT=70000\nHANDLR=cat\nQUEUE = a b\n");
  const LoadResult result =
      load(Command::run, {"--handler-timeout=5 parsecs", "--max-attempts", "0", "--nonsense"},
           {"PGFOREMAN_CONFIG=" + path, "PGFOREMAN_CONCURRENCY=5000", "PGFOREMAN_CONCURENCY=4",
            "PGFOREMAN_HANDLER=/no/such"});
  const std::string text = messages(result);
  INFO(text);
  CHECK(result.errors.size() == 8);
  CHECK(result.warnings.size() == 1);
  for (const std::string& line :
       {std::string("--nonsense: is not an option of `pgforeman run`\n"),
        path + ":3: HANDLR: is not an option; did you mean HANDLER?\n",
        path + ":4: QUEUE=a b: must be 1 to 63 characters of A-Z a-z 0-9 _ . : -\n",
        std::string("--handler-timeout=5 parsecs: does not end in a unit of ms, s, m or h; must be "
                    "a duration from 10ms to 168h with a unit of ms, s, m or h, such as 5m\n"),
        std::string("--max-attempts=0: must be a whole number from 1 to 1000\n"),
        std::string("PGFOREMAN_CONCURRENCY=5000: must be a whole number from 1 to 1024\n"),
        path + ":2: HEALTH_PORT=70000: must be a whole number from 0 to 65535\n",
        std::string("PGFOREMAN_HANDLER=/no/such: '/no/such' does not exist\n")}) {
    INFO(line);
    CHECK(contains(text, line));
  }
}

TEST_CASE("MAX_MESSAGES=abc is rejected at startup, as a flag, a variable and in the file",
          "[load]") {
  const test::TempDir dir;
  const std::string path = dir.write("c", "MAX_MESSAGES=abc\n");
  const std::string rest = "=abc: must be a whole number from 0 to 1000000000";
  CHECK(load(Command::run, {"--max-messages", "abc"}).errors == Texts{"--max-messages" + rest});
  CHECK(load(Command::run, {"--max-messages=abc"}).errors == Texts{"--max-messages" + rest});
  CHECK(load(Command::run, {}, {"PGFOREMAN_MAX_MESSAGES=abc"}).errors ==
        Texts{"PGFOREMAN_MAX_MESSAGES" + rest});
  CHECK(load(Command::run, {"--config", path.c_str()}).errors ==
        Texts{path + ":1: MAX_MESSAGES" + rest});
}

TEST_CASE("A flag without its value is reported beside a wrong value and an unknown flag",
          "[load]") {
  const LoadResult result =
      load(Command::run, {"--queue", "--max-messages", "abc", "--batch", "-1", "--poll"});
  CHECK(result.errors == Texts{"--queue: needs a value: --queue VALUE or --queue=VALUE",
                               "--poll: is not an option of `pgforeman run`",
                               "--batch=-1: must be auto or a whole number from 1 to 1000",
                               "--max-messages=abc: must be a whole number from 0 to 1000000000"});
}

TEST_CASE("run needs a handler; no other command looks at it", "[load]") {
  LoadInput input;
  CHECK(load_from(input).errors ==
        Texts{"PGFOREMAN_HANDLER: is not set; it must be the command that handles messages, such "
              "as python3 /app/handler.py, unless PGFOREMAN_HANDLER_MODE is noop"});
  input.environment = {"PGFOREMAN_HANDLER=/no/such", "PGFOREMAN_BATCH=nonsense"};
  for (const Command command :
       {Command::migrate, Command::send, Command::status, Command::dead, Command::health}) {
    input.command = command;
    CHECK(messages(load_from(input)).empty());
  }
}

TEST_CASE("Shell syntax in the handler's command is warned of", "[load]") {
  const LoadResult result = load(Command::run, {"--handler", "/bin/cat > /tmp/x"});
  CHECK(result.errors.empty());
  CHECK(result.warnings ==
        Texts{"--handler: no shell reads it, so the handler gets '>' as a word; write sh -c '...' "
              "for a shell"});
}

TEST_CASE("A handler's comment or variable is warned of, or explains why it is not found",
          "[load]") {
  const LoadResult note = load(Command::run, {"--handler", "cat # note"}, {"PATH=/bin:/usr/bin"});
  CHECK(note.errors.empty());
  CHECK(contains(messages(note), "the handler gets '#' as a word"));
  const LoadResult home = load(Command::run, {"--handler", "$HOME/x"});
  CHECK(contains(messages(home), "no shell reads it, so '$HOME' stays as it is"));
}

TEST_CASE("Variables set by Kubernetes and other platforms are named as the cause", "[load]") {
  struct Case {
    Environment environment;
    std::vector<std::string> said;
  };
  const std::vector<Case> cases = {
      {{"PGFOREMAN_HEALTH_PORT=tcp://10.0.0.1:8080", "PGFOREMAN_HEALTH_SERVICE_HOST=10.0.0.1",
        "PGFOREMAN_HEALTH_SERVICE_PORT=8080", "PGFOREMAN_HEALTH_PORT_8080_TCP=tcp://10.0.0.1:8080"},
       {"PGFOREMAN_HEALTH_PORT=tcp://10.0.0.1:8080", "service link", "enableServiceLinks: false",
        "rename the Service"}},
      {{"PGHOST=h", "PGPORT=tcp://10.0.0.1:5432"}, {"PGPORT=tcp://10.0.0.1:5432", "service link"}},
      {{"PGHOST=h", "PGPORT=\"5432\""}, {"PGPORT=\"5432\"", "65535"}},
      {{"PGHOST=tcp://10.0.0.1:5432"}, {"PGHOST=tcp://10.0.0.1:5432", "service link"}},
      {{"PGHOST=h:5432"}, {"PGHOST=h:5432", "port"}},
      {{"PGHOST=h\n"}, {"PGHOST=h\\x0a", "line end"}},
      {{"PGHOST=postgres://u:hunter2@h/d"}, {"PGHOST", "scheme"}},
      {{"PGHOST=h", "PGDATABASE=postgres://u:hunter2@h/d"},
       {"PGDATABASE", "PGFOREMAN_DATABASE_URL"}},
      {{"PGHOST=h", "PGSSLMODE=yes"}, {"PGSSLMODE=yes", "verify-full"}},
      {{"PGHOST=h", "PGSSLMINPROTOCOLVERSION=or"}, {"PGSSLMINPROTOCOLVERSION=or", "TLSv1.2"}},
      {{"DATABASE_URL=postgres://u:hunter2@h/d"},
       {"PGFOREMAN_DATABASE_URL: is not set", "DATABASE_URL is, but"}},
      {{"POSTGRES_URL=postgres://u:hunter2@h/d"}, {"POSTGRES_URL is, but"}},
      {{"PGFOREMAN_DATABASE_URL= \n"}, {"PGFOREMAN_DATABASE_URL", "nothing but blanks"}},
      {{"PGFOREMAN_QUEUE=\"mail\""}, {"PGFOREMAN_QUEUE=\"mail\"", "its quotes are part"}},
  };
  for (const auto& [environment, said] : cases) {
    const LoadResult result = load(Command::run, {}, environment);
    const std::string text = messages(result);
    INFO(text);
    CHECK(result.errors.size() == 1);
    for (const std::string& part : said) {
      INFO(part);
      CHECK(contains(text, part));
    }
    CHECK_FALSE(contains(text, "hunter2"));
    CHECK_FALSE(contains(text, "is no variable"));
  }
  // What libpq will not read is no mistake.
  for (const Environment& environment :
       {Environment{"PGFOREMAN_DATABASE_URL=postgres://h:5432/d", "PGHOST=tcp://10.0.0.1:5432",
                    "PGPORT=tcp://10.0.0.1:5432", "DATABASE_URL=x"},
        Environment{"PGHOST=h", "DATABASE_URL=postgres://u:p@h/d"}}) {
    CHECK(messages(load(Command::run, {}, environment)).empty());
  }
}

TEST_CASE("The handler is looked up in the PATH it was started with", "[load]") {
  const test::TempDir dir;
  const std::string tool = dir.write("tool", "#!/bin/sh\n", 0755);
  const LoadResult result =
      load(Command::run, {}, {"PATH=" + dir.path(), "PGFOREMAN_HANDLER=tool x"});
  CHECK(messages(result).empty());
  CHECK(result.options.handler_argv == Texts{tool, "x"});
}

TEST_CASE("noop needs no handler, looks at none, and warns that it is for measuring", "[load]") {
  for (const auto& more : {Environment{}, Environment{"PGFOREMAN_HANDLER=/no/such"}}) {
    LoadInput input;
    input.environment = more;
    input.environment.push_back("PGFOREMAN_HANDLER_MODE=noop");
    const LoadResult result = load_from(input);
    CHECK(result.errors.empty());
    CHECK(result.options.handler_mode == HandlerMode::noop);
    CHECK(result.options.handler_argv.empty());
    REQUIRE(result.warnings.size() == 1);
    CHECK_THAT(result.warnings[0], contains("HANDLER_MODE=noop"));
  }
}

TEST_CASE("HANDLER_ENV_ gives the handler variables, from the environment and the file", "[load]") {
  const test::TempDir dir;
  const std::string config =
      dir.write("c", "HANDLER_ENV_A=file\nPGFOREMAN_HANDLER_ENV_B=file\nHANDLER_ENV_1=x\n");
  LoadResult result = load(Command::run, {},
                           {"HOME=/h", "PGPASSWORD=p", "PGFOREMAN_CONFIG=" + config,
                            "PGFOREMAN_HANDLER_ENV_A=variable", "PGFOREMAN_HANDLER_ENV_C="});
  CHECK(result.options.handler_environment == Texts{"HOME=/h", "A=variable", "B=file"});
  CHECK(result.errors == Texts{config + ":3: HANDLER_ENV_1: is not an option"});
}

TEST_CASE("A maximum below its minimum is refused", "[load]") {
  struct Case {
    Environment environment;
    Texts errors;
  };
  const auto c = GENERATE(values<Case>({
      {{"PGFOREMAN_RETRY_BACKOFF=2s", "PGFOREMAN_RETRY_BACKOFF_MAX=1s"},
       {"PGFOREMAN_RETRY_BACKOFF_MAX=1s: must not be below RETRY_BACKOFF (2s)"}},
      {{"PGFOREMAN_RETRY_BACKOFF_MAX=500ms"},
       {"PGFOREMAN_RETRY_BACKOFF_MAX=500ms: must not be below RETRY_BACKOFF (1s by default)"}},
      {{"PGFOREMAN_RETRY_BACKOFF=10m"},
       {"PGFOREMAN_RETRY_BACKOFF=10m: must not be above RETRY_BACKOFF_MAX (5m by default)"}},
      {{"PGFOREMAN_RESTART_BACKOFF=40s"},
       {"PGFOREMAN_RESTART_BACKOFF=40s: must not be above RESTART_BACKOFF_MAX (30s by default)"}},
      {{"PGFOREMAN_RETRY_BACKOFF=2s", "PGFOREMAN_RETRY_BACKOFF_MAX=2s"}, {}},
      {{"PGFOREMAN_RETRY_BACKOFF=10m", "PGFOREMAN_RETRY_BACKOFF_MAX=1h"}, {}},
  }));
  CHECK(load(Command::run, {}, c.environment).errors == c.errors);
}

TEST_CASE("A maximum is not compared with a value that is refused itself", "[load]") {
  const LoadResult result =
      load(Command::run, {}, {"PGFOREMAN_RETRY_BACKOFF=x", "PGFOREMAN_RETRY_BACKOFF_MAX=1ms"});
  CHECK(result.errors.size() == 1);
}

TEST_CASE("The database is given once, in a form that libpq can parse", "[load]") {
  const test::TempDir dir;
  const std::string file = dir.write("url", "postgres://u:hunter2@h/d\n");
  CHECK(load(Command::migrate, {"--database-url-file", file.c_str()}).errors.empty());
  CHECK(load(Command::migrate, {"--database-url-file", file.c_str()},
             {"PGFOREMAN_DATABASE_URL=postgres://u:hunter2@h/d"})
            .errors ==
        Texts{"PGFOREMAN_DATABASE_URL and --database-url-file are both set; set only one of them"});
  CHECK(load(Command::send, {}, {"PGFOREMAN_DATABASE_URL_FILE=/no/such"}).errors ==
        Texts{"PGFOREMAN_DATABASE_URL_FILE=/no/such: the file cannot be read: No such file or "
              "directory"});
  // The probe does not touch the database.
  CHECK(load(Command::health, {}, {"PGFOREMAN_DATABASE_URL=hunter2"}).errors.empty());
}

TEST_CASE("No message quotes a secret, wherever it was put", "[load]") {
  const test::TempDir dir;
  const std::string url = "postgres://u:hunter2/x@h/d";
  // Problems cut what is long, take quotes away and escape what cannot be printed.
  const std::string with_long_host = "postgres://u:hunter2@" + std::string(150, 'h') + "/d";
  for (const std::string variable : {"PGFOREMAN_HANDLER", "PGFOREMAN_QUEUE", "PGFOREMAN_BATCH"}) {
    for (const std::string& address : std::initializer_list<std::string>{
             url, with_long_host, "postgres://u:\\hunter2@h/d\x01",
             "postgres://u:hun\\'hunter2@h/d", "'password=x hunter2' host=h", "password = hunter2",
             "PGPASSWORD=hunter2 ./run"}) {
      const LoadResult lost = load(Command::run, {}, {variable + "=" + address});
      CHECK_FALSE(lost.errors.empty());
      for (const auto& error : lost.errors) CHECK_FALSE(contains(error, "hunter2"));
    }
  }
  CHECK(contains(messages(load(Command::run, {}, {"PGFOREMAN_HANDLER=crul -sf https://api/x"})),
                 "PGFOREMAN_HANDLER: there is no program 'crul' in PATH"));
  const LoadResult unread =
      load(Command::run, {}, {"PGFOREMAN_DATABASE_URL=host=h password='hunter2' bogus=1"});
  CHECK(contains(messages(unread), "neither a postgresql:// URL nor keyword=value pairs"));
  const std::string bad_file = dir.write("url", url + "\n");
  const std::string config =
      dir.write("c", "DATABASE_URL=" + url + "\n" + url + "\n" + url + "?a=b\nhunter2\n");
  const std::string flag = "--database-url=" + url;
  const std::string typo = "--database-urk=" + url;
  const std::vector<std::pair<test::Words, Environment>> cases = {
      {{}, {"PGFOREMAN_DATABASE_URL=" + url}},
      {{}, {"PGFOREMAN_DATABASE_URL=hunter2 = x"}},
      {{}, {"PGFOREMAN_DATABASE_URL_FILE=" + url}},
      {{}, {"PGFOREMAN_DATABASE_URL_FILE=" + bad_file}},
      {{}, {"PGFOREMAN_CONFIG=" + config}},
      {{}, {"PGFOREMAN_CONFIG=" + url}},
      {{}, {"PGFOREMAN_DATABASE_URI=" + url}},
      {{}, {"PGFOREMAN_QUEUE=" + url}},
      {{}, {"PGFOREMAN_HEALTH_ADDRESS=host=h password=hunter2"}},
      {{flag.c_str()}, {}},
      {{typo.c_str()}, {}},
      {{"--database-url", url.c_str()}, {}},
  };
  for (const auto& [args, environment] : cases) {
    const std::string text = messages(load(Command::run, args, environment));
    INFO(text);
    CHECK_FALSE(text.empty());
    CHECK_FALSE(contains(text, "hunter2"));
  }
}

TEST_CASE("A config file that is missing or wrong is a mistake; for a probe a wrong key is not",
          "[load]") {
  const test::TempDir dir;
  CHECK(load(Command::run, {"--config", "/no/such"}).errors ==
        Texts{"/no/such: the config file cannot be read: No such file or directory"});
  const std::string nested = dir.write("nested", "CONFIG=/other\n");
  CHECK(load(Command::run, {"--config", nested.c_str()}).errors ==
        Texts{nested + ":1: CONFIG: a config file cannot name another"});
  const std::string wrong = dir.write("wrong", "QUEU=x\nHEALTH_PORT=9090\n");
  const LoadResult probe = load(Command::health, {"--config", wrong.c_str()});
  CHECK(probe.errors.empty());
  CHECK(probe.warnings.size() == 1);
  CHECK(probe.options.health_port == 9090);
  CHECK(load(Command::status, {"--config", wrong.c_str()}).errors.size() == 1);
}

TEST_CASE("health and status need a port other than 0", "[load]") {
  CHECK(load(Command::run, {"--health-port=0"}).errors.empty());
  for (const Command command : {Command::status, Command::health}) {
    CHECK(load(command, {"--health-port=0"}).errors ==
          Texts{"--health-port=0: only the running fleet knows which free port it took; its log "
                "names it"});
  }
}

TEST_CASE("Words and a command's own flags come back beside the options", "[load]") {
  const LoadResult result = load(Command::dead, {"list", "--limit", "20", "--queue", "q", "7"}, {},
                                 {{"limit", "N", "how many"}});
  CHECK(result.errors.empty());
  CHECK(result.positionals == Texts{"list", "7"});
  REQUIRE(result.flags.size() == 1);
  CHECK(result.flags[0].value == "20");
  CHECK(result.options.queue == "q");
}

TEST_CASE("With --help nothing else is checked", "[load]") {
  const LoadResult result = load(Command::run, {"--nonsense", "--help"}, {"PGFOREMAN_BATCH=x"});
  CHECK(result.help);
  CHECK(messages(result).empty());
}

TEST_CASE("A reload names what changed, and what needs a restart", "[load]") {
  const auto options = [](const Environment& environment) {
    return load(Command::run, {}, environment).options;
  };
  const Options before = options({});
  Texts restart;
  CHECK(changed_options(before, options({}), &restart).empty());
  CHECK(restart.empty());
  const Options after =
      options({"PGFOREMAN_HEALTH_PORT=9", "PGFOREMAN_HEALTH_ADDRESS=::1", "PGFOREMAN_QUEUE=q",
               "PGFOREMAN_HANDLER_MODE=jsonl", "PGFOREMAN_DATABASE_URL=postgres://u:hunter2@h/d",
               "PGFOREMAN_HANDLER_ENV_A=1", "PGFOREMAN_BOOT_TIMEOUT=1s"});
  CHECK(changed_options(before, after, &restart) == Texts{"DATABASE_URL", "QUEUE", "HANDLER_MODE",
                                                          "BOOT_TIMEOUT", "HEALTH_ADDRESS",
                                                          "HEALTH_PORT", "HANDLER_ENV_*"});
  CHECK(restart == Texts{"QUEUE", "HEALTH_ADDRESS", "HEALTH_PORT"});
  CHECK(changed_options(before, after, nullptr).size() == 7);
  Options moved = before;
  moved.handler_argv = {"/usr/bin/cat"};
  CHECK(changed_options(before, moved, nullptr) == Texts{"HANDLER"});
}

TEST_CASE("A URL with an unencoded password is refused without showing a piece of it", "[load]") {
  const std::string url =
      GENERATE("postgresql://u:ge/heim@127.0.0.1/d", "postgresql://u:ge@heim@127.0.0.1/d",
               "postgresql://u:g@heim/h3im@h/d", "postgres://u:ge@heim/x@h/d",
               "host=127.0.0.1 port=heim", "password=geheim nonsense");
  INFO(url);
  const auto loaded = load(Command::migrate, {}, {"PGFOREMAN_DATABASE_URL=" + url});
  REQUIRE(loaded.errors.size() == 1);
  CHECK(loaded.errors[0].find("heim") == std::string::npos);
  CHECK(loaded.errors[0].find("PGFOREMAN_DATABASE_URL") == 0);
}
