// The commands migrate, send and dead as a user has them: the real binary, a real database.
#include <algorithm>

#include "queue/database.h"
#include "support/fleet.h"
#include "text/terminal_text.h"

using namespace pgforeman;
using namespace pgforeman::test;

namespace {

/// Runs the binary to its end with `input` as a file on standard input.
CommandResult run(const std::string& database_url, const std::vector<std::string>& words,
                  const std::string& input = "", const char* queue = "q") {
  Settings settings{{"DATABASE_URL", database_url}};
  if (queue != nullptr) settings["QUEUE"] = queue;
  return run_command(words, settings, input);
}

/// Has message `id` die of `error`.
void bury(Database& db, const std::string& error) {
  const auto claimed = db.claim();
  REQUIRE(claimed.size() == 1);
  db.settle(claimed[0].lease(), dead(error));
}

}  // namespace

TEST_CASE("migrate prints and installs the schema once, then reports nothing to do", "[commands]") {
  const std::string url = empty_database();
  const CommandResult dry = run(url, {"migrate", "--dry-run"});
  CHECK(dry.code == 0);
  CHECK_THAT(dry.out, contains("create table pgforeman.message") && contains("commit;"));
  CHECK(run(url, {"send", "q", "1"}).code == 76);
  CHECK_THAT(run(url, {"dead", "list"}).err, contains("run `pgforeman migrate`"));
  CHECK_THAT(run(url, {"migrate"}).out, contains("applied 0001_tables"));
  CHECK_THAT(run(url, {"migrate"}).out, contains("nothing to do"));
  CHECK_THAT(run(url, {"migrate", "--dry-run"}).out, contains("nothing to do"));
  Sql(url).query("insert into pgforeman.schema_version values (999, 'from the future', '')");
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"migrate"}, {"migrate", "--dry-run"}, {"dead", "list"}}) {
    const CommandResult ended = run(url, words);
    CHECK(ended.code == 76);
    CHECK_THAT(ended.err, contains("999") && contains("newer"));
  }
  // What sends need stays as it is from version to version, and a producer cannot read it.
  CHECK(run(url, {"send", "q", "1"}).code == 0);
  CHECK(run(url, {"migrate", "now"}).code == 64);
}

TEST_CASE("send takes its arguments as JSON, all or none, and prints the ids", "[commands]") {
  Database db;
  const CommandResult sent = run(db.conninfo, {"send", "q", R"({"a": "ü"})", "-2", "null"});
  CHECK(sent.code == 0);
  CHECK(sent.out == "1\n2\n3\n");
  CHECK(sent.err.empty());
  const CommandResult bad = run(db.conninfo, {"send", "q", "1", "{\"a\":", "2"});
  CHECK(bad.code == 65);
  CHECK(bad.out.empty());
  CHECK_THAT(bad.err, contains("JSON number 2") && contains("nothing was sent"));
  CHECK(db.left() == 3);
  const CommandResult json = run(db.conninfo, {"send", "q", "5", "--json", "--priority", "urgent",
                                               "--headers", "{\"h\": 1}", "--delay=1h"});
  CHECK(json.out == "{\"queue\":\"q\",\"sent\":1,\"ids\":[4]}\n");
  CHECK(db.sql.rows("select place >> 57, state, headers from pgforeman.message where id = 4") ==
        std::vector<Row>{{"0", "1", "{\"h\": 1}"}});
  CHECK(run(db.conninfo, {"send", "q", "6", "--quiet"}).out.empty());
}

TEST_CASE("send takes a document per line of standard input", "[commands]") {
  Database db;
  std::string input = "\r\n\n";
  for (int i = 0; i < 2300; ++i) input += "{\"n\": " + std::to_string(i) + "}\n";
  input += "\"no newline at the end\"";
  const CommandResult sent = run(db.conninfo, {"send", "q", "--json"}, input);
  CHECK(sent.code == 0);
  CHECK_THAT(sent.out, contains("\"sent\":2301"));
  CHECK(db.left() == 2301);
  CHECK(db.sql.number("select payload->>'n' from pgforeman.message where id = 2300") == 2299);
  CHECK(run(db.conninfo, {"send", "q", "-"}, "").code == 0);
}

TEST_CASE("send stops at the first line that is not JSON, and names it and what was sent",
          "[commands]") {
  Database db;
  std::string input;
  for (int i = 0; i < 1500; ++i) input += std::to_string(i) + "\n";
  const CommandResult ended = run(db.conninfo, {"send", "q", "--quiet"}, input + "\n{oops}\n7\n");
  CHECK(ended.code == 65);
  CHECK_THAT(ended.err, contains("line 1502") && contains("1,500 messages sent before that"));
  CHECK(db.left() == 1500);
}

TEST_CASE("send takes the queue's name from --queue or the environment, too", "[commands]") {
  Database db;
  // The environment of these commands names queue q.
  CHECK(run(db.conninfo, {"send", R"({"n": 1})"}).code == 0);
  CHECK(run(db.conninfo, {"send"}, "2\n3\n").code == 0);
  CHECK(run(db.conninfo, {"send", "-"}, "4\n").code == 0);
  CHECK(run(db.conninfo, {"send", "--queue", "other", "5", "6"}).code == 0);
  CHECK(run(db.conninfo, {"send", "third", "7"}).code == 0);
  CHECK(db.sql.rows("select queue, count(*)::text from pgforeman.message group by 1 order by 1") ==
        std::vector<Row>{{"other", "2"}, {"q", "4"}, {"third", "1"}});
}

TEST_CASE("send names a wrong argument", "[commands]") {
  Database db;
  const auto error = [&](const std::vector<std::string>& words) {
    const CommandResult ended = run(db.conninfo, words);
    CHECK(ended.code == 64);
    return ended.err;
  };
  CHECK_THAT(error({"send", "q q", "1"}), contains("'q q'") && contains("1 to 63"));
  CHECK_THAT(error({"send", "q", "1", "--priority", "9"}), contains("'9'") && contains("urgent"));
  CHECK_THAT(error({"send", "q", "1", "--delay", "5 parsecs"}), contains("5 parsecs"));
  CHECK_THAT(error({"send", "q", "1", "--delay", "-1"}), contains("'-1'"));
  CHECK_THAT(error({"send", "q", "1", "--delay="}), contains("--delay ''"));
  CHECK_THAT(error({"send", "q", "1", "--headers", "[1]"}), contains("[1]"));
  CHECK_THAT(error({"send", "q", "-", "1"}), contains("exclude"));
  CHECK(db.left() == 0);
}

TEST_CASE("send takes JSON that begins with a dash, before and behind two dashes", "[commands]") {
  Database db;
  CHECK(run(db.conninfo, {"send", "--json", "q", "-1", "--delay", "0s", "--", "-2"}).code == 0);
  CHECK(db.left() == 2);
  const CommandResult wrong =
      run(db.conninfo, {"send", "q", "--delay", "--json=1", "--priorty=9", "-x"});
  CHECK(wrong.code == 78);
  CHECK_THAT(wrong.err, contains("--delay: needs a value") && contains("--json: takes no value") &&
                            contains("did you mean --priority?") &&
                            contains("-x: is not an option"));
}

TEST_CASE("version takes no arguments but --help", "[commands]") {
  for (const std::string words : {"version", "--version", "-V"}) {
    CHECK_THAT(run("", {words}).out, contains("pgforeman "));
  }
  CHECK_THAT(run("", {"version", "2"}).err, contains("2: takes no arguments"));
  CHECK_THAT(run("", {"version", "--jsn", "2"}).err,
             contains("--jsn: is not an option of `pgforeman version`") && contains("2: takes no"));
  CHECK(run("", {"version", "--jsn"}).code == 64);
  CHECK(run("", {"version", "--jsn", "-h"}).code == 0);
}

TEST_CASE("A database that cannot be reached is one clear line and its own exit code",
          "[commands]") {
  const std::string url = "postgresql://u:geheim@127.0.0.1:1/d";
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"migrate"}, {"send", "q", "1"}, {"dead", "list"}}) {
    const CommandResult ended = run(url, words);
    CHECK(ended.code == 69);
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == 1);
    CHECK_THAT(ended.err, contains("refused") && !contains("geheim"));
  }
}

TEST_CASE("dead lists, shows, retries and purges", "[commands]") {
  Database db;
  CommandResult ended = run(db.conninfo, {"dead", "list"});
  CHECK(ended.code == 1);
  CHECK_THAT(ended.out, contains("no dead letters"));
  CHECK(run(db.conninfo, {"dead", "list", "--json"}).out == "[]\n");
  for (int i = 1; i <= 4; ++i) {
    db.send("{\"n\": 12345678901234567890123}");
    bury(db, "boom\x1b[31m \"" + std::to_string(i) + "\"");
  }
  ended = run(db.conninfo, {"dead", "list", "--limit", "2"});
  CHECK(ended.code == 0);
  CHECK_THAT(ended.out, contains("boom [31m \"4\"") && contains("\"3\"") && !contains("\"2\"") &&
                            contains("2 of 4") && !contains("\x1b"));
  CHECK_THAT(run(db.conninfo, {"dead", "show", "1"}).out, contains("12345678901234567890123"));
  CHECK_THAT(run(db.conninfo, {"dead", "show", "1", "--json"}).out,
             contains(R"("error":"boom\u001b[31m \"1\"")") &&
                 contains(R"("payload":{"n": 12345678901234567890123})"));
  CHECK(run(db.conninfo, {"dead", "show", "77"}).code == 1);

  ended = run(db.conninfo, {"dead", "retry", "1", "77"});
  CHECK(ended.code == 1);
  CHECK_THAT(ended.out, contains("retried 1 dead letter\n"));
  CHECK_THAT(ended.err, contains("no dead letter 77"));
  CHECK(db.left() == 1);
  ended = run(db.conninfo, {"dead", "purge", "2"});
  CHECK(ended.code == 64);
  CHECK_THAT(ended.err, contains("--yes"));
  CHECK(run(db.conninfo, {"dead", "purge", "2", "--yes"}).code == 0);
  CHECK(run(db.conninfo, {"dead", "retry", "--all", "--json"}).out ==
        "{\"queue\":\"q\",\"retried\":2,\"renumbered\":0}\n");
  CHECK(db.left() == 3);
  CHECK(run(db.conninfo, {"dead", "purge", "--all", "--yes"}).code == 1);
  CHECK(run(db.conninfo, {"dead", "list", "--queue", "other"}).code == 1);
}

TEST_CASE("dead without a queue's name covers all queues, but deletes only by id", "[commands]") {
  Database db;
  db.send();
  bury(db, "boom");
  db.send();
  bury(db, "boom");
  db.sql.query("update pgforeman.dead_message set queue = 'mail' where id = 1");
  const CommandResult list = run(db.conninfo, {"dead", "list"}, "", nullptr);
  CHECK(list.code == 0);
  CHECK_THAT(list.out, contains("QUEUE") && contains("mail") && contains("of all queues"));
  CHECK_THAT(run(db.conninfo, {"dead", "show", "1"}, "", nullptr).out, contains("queue     mail"));
  CHECK(run(db.conninfo, {"dead", "purge", "--all", "--yes"}, "", nullptr).code == 1);
  CHECK(db.sql.number("select count(*) from pgforeman.dead_message") == 2);
  const CommandResult mistyped = run(db.conninfo, {"dead", "list", "--queue=malil"});
  CHECK(mistyped.code == 1);
  CHECK_THAT(mistyped.out, contains("queue malil has no dead letters; queues with dead letters: "
                                    "mail (1), q (1)"));
  CHECK(run(db.conninfo, {"dead", "retry", "1", "2"}, "", nullptr).code == 0);
  CHECK(db.left() == 2);
}

TEST_CASE("status of an empty queue names those that have messages", "[commands]") {
  Database db;
  db.send();
  const CommandResult mistyped = run(db.conninfo, {"status", "--queue-only", "--queue=malil"});
  CHECK(mistyped.code == 0);
  CHECK_THAT(mistyped.out, contains("queues with messages: q (1)"));
  CHECK_THAT(run(db.conninfo, {"status", "--queue-only"}).out, !contains("queues with messages"));
}

TEST_CASE("dead shows, retries and lists several letters with the same id", "[commands]") {
  Database db;
  for (const char* error : {"one\nsecond line", "two"}) {
    db.send();
    bury(db, error);
    db.sql.query("select setval('pgforeman.message_id_seq', 1, false)");
  }
  const CommandResult shown = run(db.conninfo, {"dead", "show", "1"});
  CHECK(shown.code == 0);
  CHECK_THAT(shown.out,
             contains("error     one\n          second line\n") && contains("error     two"));
  CHECK_THAT(run(db.conninfo, {"dead", "list", "--json"}).out,
             contains("\"error\":\"two\"") && contains("},\n{") && contains("\"payload\":"));
  const CommandResult retried = run(db.conninfo, {"dead", "retry", "1"});
  CHECK(retried.code == 0);
  CHECK_THAT(retried.out, contains("retried 2 dead letters\n1 of them under new ids") &&
                              contains("\n1 is now "));
  CHECK(db.left() == 2);
}

TEST_CASE("Commands never print terminal controls from payloads, errors or arguments",
          "[commands]") {
  Database db;
  const std::string bad =
      "a\xc2\x9b"
      "31m\x7f\xe2\x80\xae";
  db.send("{\"n\": \"" + bad + "\"}");
  bury(db, bad);
  for (const std::vector<std::string>& words : {std::vector<std::string>{"dead", "list"},
                                                {"dead", "list", "--json"},
                                                {"dead", "show", "1"},
                                                {"dead", "show", "1", "--json"},
                                                {"send", "q", bad},
                                                {"send", bad, "1"},
                                                {"dead", bad},
                                                {"migrate", bad},
                                                {bad}}) {
    const CommandResult ended = run(db.conninfo, words);
    INFO(ended.out << ended.err);
    std::string text = ended.out + ended.err;
    std::replace(text.begin(), text.end(), '\n', ' ');
    CHECK(is_terminal_safe(text));
  }
  CHECK_THAT(run(db.conninfo, {"dead", "show", "1", "--json"}).out,
             contains(R"("payload":{"n": "a\u009b31m\u007f\u202e"})"));
}

TEST_CASE("dead names a wrong argument", "[commands]") {
  Database db;
  for (const auto& words :
       std::vector<std::vector<std::string>>{{"dead"},
                                             {"dead", "lost"},
                                             {"dead", "show"},
                                             {"dead", "show", "1", "2"},
                                             {"dead", "show", "x"},
                                             {"dead", "list", "1"},
                                             {"dead", "retry"},
                                             {"dead", "retry", "1", "--all"},
                                             {"dead", "list", "--limit", "0"},
                                             {"dead", "list", "--all"},
                                             {"dead", "retry", "1", "--limit", "5"},
                                             {"dead", "retry", "1", "--yes"}}) {
    CHECK(run(db.conninfo, words).code == 64);
  }
  CHECK(run(db.conninfo, {"dead", "list", "--jsn"}).code == 78);
}
