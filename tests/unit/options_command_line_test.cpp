#include "options/command_line.h"

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using Words = pgforeman::test::Words;
using Texts = std::vector<std::string>;
using Values = decltype(CommandLine::values);

namespace {

const std::vector<CommandFlag> kFlags = {{"json", "", "print JSON"}, {"limit", "N", "how many"}};

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

TEST_CASE("Arguments that are no flags come back in order", "[command_line]") {
  const CommandLine line =
      split({"mail", "--json", "-1", "-", "", "{\"a\":1}", "--", "--queue", "-h", "--"});
  CHECK(line.errors.empty());
  CHECK_FALSE(line.help);
  CHECK(line.positionals == Texts{"mail", "-1", "-", "", "{\"a\":1}", "--queue", "-h", "--"});
}

TEST_CASE("A command's own flags come back as found", "[command_line]") {
  const CommandLine line = split({"--limit", "20", "--json", "--limit=-3"}, Command::dead);
  CHECK(line.errors.empty());
  REQUIRE(line.flags.size() == 3);
  CHECK(line.flags[0].name == "limit");
  CHECK(line.flags[0].value == "20");
  CHECK(line.flags[1].name == "json");
  CHECK(line.flags[1].value.empty());
  CHECK(line.flags[2].value == "-3");
}

TEST_CASE("Every mistake of a command line is reported", "[command_line]") {
  const CommandLine line =
      split({"--que", "x", "--queue", "--batch=", "--json=1", "-q", "--limit"});
  CHECK(line.errors == Texts{"--que: is not an option of `pgforeman run`; did you mean --queue?",
                             "--queue: needs a value: --queue VALUE or --queue=VALUE",
                             "--batch: needs a value that is not empty", "--json: takes no value",
                             "-q: is not an option of `pgforeman run`",
                             "--limit: needs a value: --limit VALUE or --limit=VALUE"});
}

TEST_CASE("A flag is given once", "[command_line]") {
  CHECK(split({"--queue=a", "--queue", "b"}).errors == Texts{"--queue: was given twice"});
  CHECK(split({"--queue=a", "--queue=a", "--queue", "a"}).errors.size() == 2);
}

TEST_CASE("A flag is not guessed from its beginning or from small letters", "[command_line]") {
  for (const char* name : {"--concurrenc", "--CONCURRENCY", "-concurrency", "-c"}) {
    INFO(name);
    const CommandLine line = split({name, "4"});
    CHECK(line.values.empty());
    CHECK(line.errors.size() == 1);
    CHECK(line.positionals == Texts{"4"});
  }
}

TEST_CASE("A flag without its value does not take the next flag for it", "[command_line]") {
  const CommandLine line = split({"--queue", "--batch", "5", "--limit", "--json", "--handler"});
  CHECK(line.values == Values{{"BATCH", "5"}});
  REQUIRE(line.flags.size() == 1);
  CHECK(line.flags[0].name == "json");
  CHECK(line.errors == Texts{"--queue: needs a value: --queue VALUE or --queue=VALUE",
                             "--limit: needs a value: --limit VALUE or --limit=VALUE",
                             "--handler: needs a value: --handler VALUE or --handler=VALUE"});
}

TEST_CASE("A value may begin with a dash; with two it needs an equals sign", "[command_line]") {
  const CommandLine line = split(
      {"--queue", "-x", "--batch", "-", "--log-level", "-h", "--handler=--help", "--limit", "-1"});
  CHECK(line.errors.empty());
  CHECK_FALSE(line.help);
  CHECK(line.values ==
        Values{{"QUEUE", "-x"}, {"BATCH", "-"}, {"LOG_LEVEL", "-h"}, {"HANDLER", "--help"}});
  CHECK(line.flags[0].value == "-1");
}

TEST_CASE("A value keeps its equals signs, blanks and bytes", "[command_line]") {
  const CommandLine line = split({"--queue==", "--handler", " a =\n", "--log-level=\xff#;"});
  CHECK(line.errors.empty());
  CHECK(line.values == Values{{"QUEUE", "="}, {"HANDLER", " a =\n"}, {"LOG_LEVEL", "\xff#;"}});
}

TEST_CASE("An empty value is a mistake of an option, and a value of a command's own flag",
          "[command_line]") {
  for (const Words& args :
       {Words{"--queue=", "--limit=", "mail"}, Words{"--queue", "", "--limit", "", "mail"}}) {
    const CommandLine line = split(args);
    CHECK(line.errors == Texts{"--queue: needs a value that is not empty"});
    CHECK(line.positionals == Texts{"mail"});
    REQUIRE(line.flags.size() == 1);
    CHECK(line.flags[0].value.empty());
  }
}

TEST_CASE("A flag that takes no value leaves the next word alone", "[command_line]") {
  const CommandLine line = split({"list", "--json", "7", "--json", "-x", "--json=", "8"});
  CHECK(line.positionals == Texts{"list", "7", "8"});
  CHECK(line.flags.size() == 2);
  CHECK(line.errors == Texts{"-x: is not an option of `pgforeman run`", "--json: takes no value"});
}

TEST_CASE("Behind two dashes there are no flags, and no value for one before them",
          "[command_line]") {
  const CommandLine line = split({"a", "--queue", "--", "--limit=5", "-x", ""});
  CHECK(line.positionals == Texts{"a", "--limit=5", "-x", ""});
  CHECK(line.flags.empty());
  CHECK(line.errors == Texts{"--queue: needs a value: --queue VALUE or --queue=VALUE"});
  CHECK(split({"--"}).positionals.empty());
}

TEST_CASE("A word of dashes and equals signs alone is no value and no option", "[command_line]") {
  const CommandLine line = split({"--queue", "--=x", "---", "--=", "-="});
  CHECK(line.values.empty());
  CHECK(line.positionals.empty());
  CHECK(line.errors ==
        Texts{"--queue: needs a value: --queue VALUE or --queue=VALUE",
              "--: is not an option of `pgforeman run`", "---: is not an option of `pgforeman run`",
              "--: is not an option of `pgforeman run`", "-: is not an option of `pgforeman run`"});
}

TEST_CASE("In any order of odd words each mistake is reported and no word is lost",
          "[command_line]") {
  const std::vector<const char*> odd = {
      "--queue",  "--queue=",       "--queue=a",  "mail",       "",     "-1",
      "-x",       "--json",         "--json=1",   "--",         "--=x", "--limit",
      "--limit=", "--database-url", "--nonsense", "--batch=x=y"};
  for (const char* first : odd) {
    for (const char* second : odd) {
      for (const char* third : odd) {
        const CommandLine line = split({first, second, third});
        const std::size_t told =
            line.values.size() + line.flags.size() + line.positionals.size() + line.errors.size();
        INFO(first << " " << second << " " << third);
        // A word is a value at most, and `--` alone says nothing.
        if (told == 0 && std::string(first) != "--") FAIL("nothing came of it");
        if (told > 3) FAIL("more came of it than there are words");
      }
    }
  }
}

TEST_CASE("A flag of another command is refused and the command named", "[command_line]") {
  CHECK(split({"--batch", "5"}, Command::send).errors ==
        Texts{"--batch: is not an option of `pgforeman send`; it is one of `run`"});
  CHECK(split({"--batch"}, Command::dead).errors ==
        Texts{"--batch: is not an option of `pgforeman dead`; it is one of `run`"});
}

TEST_CASE("Help wins over everything else", "[command_line]") {
  CHECK(split({"--nonsense", "--help"}).help);
  CHECK(split({"-h"}).help);
  CHECK(split({"--queue", "--help"}).help);
  CHECK(split({"--json", "-h"}).help);
  CHECK(split({"--help", "mail"}).help);
  CHECK_FALSE(split({"--", "-h"}).help);
  CHECK(split({"--help=all"}).help_all);
  for (const char* brief : {"--help", "--help=", "--help=more", "-h"}) {
    CHECK(split({brief}).help);
    CHECK_FALSE(split({brief}).help_all);
  }
}

TEST_CASE("A secret as a flag is refused and not printed", "[command_line]") {
  for (const Words& args : {Words{"--database-url", "postgres://u:hunter2@h/d"},
                            Words{"--database-url=postgres://u:hunter2@h/d"}}) {
    const CommandLine line = split(args);
    REQUIRE(line.errors.size() == 1);
    CHECK(line.errors[0] ==
          "--database-url: is not an option, because other users can see command lines; set "
          "PGFOREMAN_DATABASE_URL or PGFOREMAN_DATABASE_URL_FILE");
    CHECK(line.positionals.empty());
  }
  const CommandLine forgotten = split({"--database-url", "--queue", "mail"});
  CHECK(forgotten.errors.size() == 1);
  CHECK(forgotten.values == Values{{"QUEUE", "mail"}});
  const CommandLine typo = split({"--databse-url=postgres://u:hunter2@h/d"});
  REQUIRE(typo.errors.size() == 1);
  CHECK_FALSE(test::contains(typo.errors[0], "hunter2"));
}
