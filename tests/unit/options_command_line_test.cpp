#include "options/command_line.h"

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using Words = pgforeman::test::Words;
using Texts = std::vector<std::string>;

namespace {

const std::vector<CommandFlag> kFlags = {{"json", false, "print JSON"},
                                         {"limit", true, "how many"}};

CommandLine split(const Words& args, Command command = Command::run) {
  return split_command_line(command, args, kFlags);
}

}  // namespace

TEST_CASE("A flag's value follows it or its equals sign", "[command_line]") {
  const CommandLine line = split({"--queue", "mail", "--batch=5", "--handler", "sh -c 'a=b'",
                                  "--health-port", "-1", "--log-level=a=b"});
  CHECK(line.errors.empty());
  CHECK(line.values.at("QUEUE") == "mail");
  CHECK(line.values.at("BATCH") == "5");
  CHECK(line.values.at("HANDLER") == "sh -c 'a=b'");
  CHECK(line.values.at("HEALTH_PORT") == "-1");
  CHECK(line.values.at("LOG_LEVEL") == "a=b");
}

TEST_CASE("Other words come back in their order", "[command_line]") {
  const CommandLine line =
      split({"mail", "--json", "-1", "-", "", "{\"a\":1}", "--", "--queue", "-h", "--"});
  CHECK(line.errors.empty());
  CHECK_FALSE(line.help);
  CHECK(line.positionals == Texts{"mail", "-1", "-", "", "{\"a\":1}", "--queue", "-h", "--"});
}

TEST_CASE("A command's own flags come back as found", "[command_line]") {
  const CommandLine line = split({"--limit", "20", "--json", "--limit=-3"}, Command::dead);
  CHECK(line.errors.empty());
  REQUIRE(line.found.size() == 3);
  CHECK(line.found[0].name == "limit");
  CHECK(line.found[0].value == "20");
  CHECK(line.found[1].name == "json");
  CHECK(line.found[1].value.empty());
  CHECK(line.found[2].value == "-3");
}

TEST_CASE("Every mistake of a command line is reported", "[command_line]") {
  const CommandLine line =
      split({"--que", "x", "--queue", "--batch=", "--json=1", "-q", "--limit"});
  CHECK(line.errors == Texts{"--que: is no option of `pgforeman run`; did you mean --queue?",
                             "--queue: needs a value: --queue VALUE or --queue=VALUE",
                             "--batch: needs a value that is not empty", "--json: takes no value",
                             "-q: is no option of `pgforeman run`",
                             "--limit: needs a value: --limit VALUE or --limit=VALUE"});
}

TEST_CASE("A flag is given once", "[command_line]") {
  CHECK(split({"--queue=a", "--queue", "b"}).errors == Texts{"--queue: was given twice"});
}

TEST_CASE("A flag is not guessed from its beginning", "[command_line]") {
  CHECK(split({"--concurrenc", "4"}).values.empty());
  CHECK(split({"--concurrenc", "4"}).errors.size() == 1);
}

TEST_CASE("A flag of another command is refused, and whose it is is said", "[command_line]") {
  CHECK(split({"--batch", "5"}, Command::send).errors ==
        Texts{"--batch: is no option of `pgforeman send`; it is one of `run`"});
}

TEST_CASE("Help wins over everything else", "[command_line]") {
  CHECK(split({"--nonsense", "--help"}).help);
  CHECK(split({"-h"}).help);
  CHECK_FALSE(split({"--", "-h"}).help);
}

TEST_CASE("No flag takes a secret, and one that is tried is not printed", "[command_line]") {
  for (const Words& args : {Words{"--database-url", "postgres://u:hunter2@h/d"},
                            Words{"--database-url=postgres://u:hunter2@h/d"}}) {
    const CommandLine line = split(args);
    REQUIRE(line.errors.size() == 1);
    CHECK(line.errors[0] ==
          "--database-url: is no option, because other users can see command lines; set "
          "PGFOREMAN_DATABASE_URL or PGFOREMAN_DATABASE_URL_FILE");
    CHECK(line.positionals.empty());
  }
  const CommandLine typo = split({"--databse-url=postgres://u:hunter2@h/d"});
  REQUIRE(typo.errors.size() == 1);
  CHECK_FALSE(test::contains(typo.errors[0], "hunter2"));
}
