#include "options/config_file.h"

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using Texts = std::vector<std::string>;

namespace {

ConfigFile parse(std::string_view text) {
  return parse_config_file(text, "f.conf");
}

}  // namespace

TEST_CASE("A config file is lines of KEY=value", "[config_file]") {
  const ConfigFile file = parse(
      "# a comment\n"
      "\n"
      "QUEUE=mail\n"
      "  \t BATCH \t=  5 \t\r\n"
      "   # another\n"
      "PGFOREMAN_LOG_LEVEL=debug\n"
      "DATABASE_URL=postgres://u:pa#ss=w'or\"d@h/d\n"
      "HANDLER='a b'  \"c\"\n"
      "MAX_ATTEMPTS=\n"
      "POLL_INTERVAL=2s");
  CHECK(file.errors.empty());
  REQUIRE(file.lines.size() == 7);
  CHECK(file.lines[0].key == "QUEUE");
  CHECK(file.lines[0].number == 3);
  CHECK(file.lines[1].key == "BATCH");
  CHECK(file.lines[1].value == "5");
  CHECK(file.lines[2].key == "LOG_LEVEL");
  CHECK(file.lines[3].value == "postgres://u:pa#ss=w'or\"d@h/d");
  CHECK(file.lines[4].value == "'a b'  \"c\"");
  CHECK(file.lines[5].value.empty());
  CHECK(file.lines[6].value == "2s");
  CHECK(file.lines[6].number == 10);
}

TEST_CASE("Every malformed line is reported with its number, and never quoted", "[config_file]") {
  const std::string form = "is not of the form KEY=value (letters, digits and _ make a key)";
  const ConfigFile file = parse(
      "hunter2\n"
      "=hunter2\n"
      "postgres://u:hunter2@h/d?sslmode=require\n"
      "export QUEUE=a\n"
      "QUEUE=a\n"
      "PGFOREMAN_QUEUE=b\n");
  CHECK(parse("\xef\xbb\xbfQUEUE=q\r\n").lines.at(0).key == "QUEUE");
  CHECK(parse("export QUEUE=q").errors ==
        Texts{"f.conf:1: is shell syntax: write KEY=value without export"});
  CHECK(parse("\xff\xfeQ").errors == Texts{"f.conf:1: the file is in UTF-16: save it as UTF-8"});
  CHECK(file.errors == Texts{"f.conf:1: " + form, "f.conf:2: " + form, "f.conf:3: " + form,
                             "f.conf:4: is shell syntax: write KEY=value without export",
                             "f.conf:6: QUEUE: is set on line 5 already"});
  CHECK(parse(std::string_view("A=b\0c\n", 6)).errors ==
        Texts{"f.conf:1: A: its value holds a NUL byte"});
}

TEST_CASE("An empty config file is valid", "[config_file]") {
  for (const char* text : {"", "\n", "\n\n", "# only", "   "}) {
    CHECK(parse(text).errors.empty());
    CHECK(parse(text).lines.empty());
  }
}

TEST_CASE("A file that cannot be read is an error with the reason", "[config_file]") {
  const test::TempDir dir;
  CHECK(read_config_file(dir.path() + "/none").errors ==
        Texts{dir.path() + "/none: the config file cannot be read: No such file or directory"});
  CHECK(read_config_file(dir.path()).errors ==
        Texts{dir.path() + ": the config file is a directory"});
  const std::string pipe = dir.path() + "/pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(read_config_file(pipe).errors == Texts{pipe + ": the config file is not a regular file"});
  const std::string big = dir.write("big", std::string((1 << 20) + 1, '\n'));
  CHECK(read_config_file(big).errors ==
        Texts{big + ": the config file is longer than 1048576 bytes"});
}
