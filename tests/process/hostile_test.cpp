// What senders may send: it is refused with its reason, or reaches the handler as it is.

#include <algorithm>

#include "process/bed.h"

using namespace pgforeman::test;

namespace {

std::string nested(int depth) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += "[";
  for (int i = 0; i < depth; ++i) text += "]";
  return text;
}

struct Payload {
  std::string text;
  bool taken;
};

const std::vector<Payload>& payloads() {
  static const std::vector<Payload> all = {
      {"null", true},
      {"\"\"", true},
      {R"("\u0001\u001b[2J\u007f")", true},
      {R"("line\nline\r\nline\u0085\u2028\u2029line")", true},
      {"\"\u2028 raw \u2029 and \u202e reversed \ufeff\"", true},
      {R"("\ud83d\ude00")", true},
      {"\"\xF0\x9F\x98\x80 e\xCC\x81 \xEF\xBF\xBF\"", true},
      {R"({"": 1, "__proto__": {}, "id": 9, "status": "done", "payload": {}})", true},
      {R"({"a": "'; drop table pgforeman.message; --", "b": "$(reboot) `id` %s%n \\ \" '"})", true},
      {"[-0, 1E+2, 1e-7, 0.1000000000000000055511151231257827, 123456789012345678901234567890]",
       true},
      {"1e1000", true},
      {"1e999999999", true},
      {std::string(1'000'000, '9'), true},
      {R"("\u0000")", true},
      {R"("\ud800")", true},
      {R"({"b" : 1,"a":  2 , "b":3})", true},
      {std::string(100'000, '9'), true},
      {nested(1000), true},
      {"\"" + std::string(5'000'000, 'x') + "\"", true},
      {"\"\xFF\xFE\"", false},
      {"\"\xC0\x80\"", false},
      {nested(1'000'000), false},
      {"{\"a\": 1} trailing", false},
      {"NaN", false},
      {"'single'", false},
  };
  return all;
}

/// Each payload as it came, in a file of its own, named by the message's id.
std::string keeping_handler(const Bed& bed, const std::string& mode) {
  if (mode == "exec") {
    return bed.folder.write("keep.sh",
                            "#!/bin/sh\nf=" + bed.folder.file("got.") +
                                "$PGFOREMAN_MESSAGE_ID\ncat > $f.new && mv $f.new $f\n",
                            0755);
  }
  return bed.folder.write(
      "keep.py",
      "#!/usr/bin/python3 -u\n"
      "import os, re, sys\n"
      "for line in sys.stdin.buffer:\n"
      "    id = re.match(rb'\\{\"id\":(\\d+),', line).group(1).decode()\n"
      "    at = line.index(b'\"payload\":') + 10\n"
      "    name = '" +
          bed.folder.file("got.") +
          "' + id\n"
          "    open(name + '.new', 'wb').write(line[at:line.rindex(b',\"headers\":')] + b'\\n')\n"
          "    os.rename(name + '.new', name)\n"
          "    print('{\"id\":%s,\"status\":\"done\"}' % id)\n",
      0755);
}

}  // namespace

TEST_CASE("A hostile payload is refused with the reason, or arrives unchanged", "[hostile]") {
  for (const std::string mode : {"exec", "jsonl"}) {
    INFO(mode);
    Bed bed;
    const Settings at{{"DATABASE_URL", bed.conninfo}};
    std::size_t taken = 0;
    for (const Payload& payload : payloads()) {
      INFO(payload.text.substr(0, 100));
      const auto sent = run_command({"send", "q"}, at, payload.text + "\n");
      INFO(sent.err.substr(0, 1000));
      if (payload.taken) {
        ++taken;
        CHECK(sent.code == 0);
      } else {
        CHECK(sent.code == 65);
        CHECK_FALSE(sent.err.empty());
        CHECK(sent.err.size() < 2000);
      }
    }
    CHECK(static_cast<std::size_t>(bed.left()) == taken);
    const auto rows = bed.sql.rows("select id, payload from pgforeman.message");
    Fleet fleet(bed.settings(
        {{"HANDLER_MODE", mode}, {"HANDLER", keeping_handler(bed, mode)}, {"MAX_CLAIMS", "10"}}));
    REQUIRE(bed.wait_until_empty(30s));
    CHECK(bed.dead() == 0);
    for (const auto& row : rows) {
      INFO(row[1].substr(0, 100));
      CHECK((read_file(bed.folder.file("got." + row[0])) == row[1] + "\n"));
    }
    CHECK(fleet.status().exits.empty());
    stop_cleanly(fleet);
  }
}

TEST_CASE("A queue's name with odd characters is refused everywhere", "[hostile]") {
  Bed bed;
  bed.send();
  for (const std::string name : {"'; drop table pgforeman.message; --", "q' or 'a'='a", "$1", "q\n",
                                 "q\x1b[2J", "../q", "q%s", "\xff", "queue name", "é", ""}) {
    INFO(name);
    const Settings at{{"DATABASE_URL", bed.conninfo}};
    CHECK(run_command({"send", "--", name, "1"}, at).code == 64);
    for (const std::string command : {"status", "dead"}) {
      std::vector<std::string> words{command};
      if (command == "dead") words.emplace_back("list");
      words.push_back("--queue=" + name);
      const auto refused = run_command(words, at);
      CHECK(refused.code == 78);
      CHECK_THAT(refused.err, contains(name.empty() ? "not empty" : "1 to 63 characters"));
      CHECK(refused.err.find('\x1b') == std::string::npos);
    }
    if (name == "\xff") continue;  // no text at all to PostgreSQL
    const std::string literal = bed.sql.query("select quote_literal($name$" + name + "$name$)");
    CHECK_THROWS(bed.sql.query("select pgforeman.send(" + literal + ", '1')"));
  }
  CHECK(bed.left() == 1);
}
