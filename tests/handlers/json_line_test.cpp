#include "handlers/json_line.h"

#include <nlohmann/json.hpp>

#include "handlers/consumer_loop.h"
#include "handlers/limits.h"
#include "support/catch.h"

using namespace pgforeman;
using pgforeman::test::contains;

namespace {

Outcome answer(const std::string& line) {
  INFO(line);
  auto parsed = parse_answer(line, 7);
  INFO(parsed.problem);
  REQUIRE(parsed.value);
  return *parsed.value;
}

std::string problem(const std::string& line) {
  INFO(line);
  const auto parsed = parse_answer(line, 7);
  REQUIRE_FALSE(parsed.value);
  return parsed.problem;
}

}  // namespace

TEST_CASE("the request is one JSON line with everything about the message", "[json_line]") {
  Message message = test::message(41, R"({"text": "a \"quoted\" caf\u00e9\n"})");
  const std::string line = request_line(message, json_string("q\"1"), Millis{1500});
  CHECK(line.find('\n') == line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  CHECK(json["id"] == 41);
  CHECK(json["queue"] == "q\"1");
  CHECK(json["attempt"] == 2);
  CHECK(json["fence"] == 5);
  CHECK(json["payload"]["text"] == "a \"quoted\" caf\u00e9\n");
  CHECK(json["headers"]["trace"] == "abc");
  CHECK(json["enqueued_at"] == "2024-05-06T07:08:09.123456Z");
  CHECK(json["deadline_seconds"] == 1.5);
  CHECK(json.size() == 8);
}

TEST_CASE("a payload with newlines between its tokens is still one line", "[json_line]") {
  const std::string line =
      request_line(test::message(1, "{\n  \"a\": [1,\n 2]\n}"), "\"q\"", Millis{1000});
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(nlohmann::json::parse(line)["payload"]["a"] == nlohmann::json({1, 2}));
}

TEST_CASE("an answer needs no more than id and status", "[json_line]") {
  CHECK(answer(R"({"id":7,"status":"done"})").kind == Outcome::Kind::done);
  const Outcome retry = answer(R"({"id":7,"status":"retry"})");
  CHECK(retry.kind == Outcome::Kind::retry);
  CHECK_FALSE(retry.after);
  CHECK(retry.error == "the handler answered retry");
  CHECK(answer(R"({"id":7,"status":"dead"})").kind == Outcome::Kind::dead);
  CHECK(answer(" {\"status\" : \"done\", \"id\" : 7, \"more\": {}, \"error\": null}\r").kind ==
        Outcome::Kind::done);
}

TEST_CASE("after is a duration or a number of seconds", "[json_line]") {
  const auto after = [](const std::string& value) {
    return answer(R"({"id":7,"status":"retry","after":)" + value + "}").after;
  };
  CHECK(after("\"5s\"") == Millis{5000});
  CHECK(after("\"500ms\"") == Millis{500});
  CHECK(after("\"1h\"") == Millis{3600000});
  CHECK(after("0") == Millis{0});
  CHECK(after("30") == Millis{30000});
  CHECK(after("0.25") == Millis{250});
  CHECK(after("0.0001") == Millis{1});
  CHECK_FALSE(after("null"));
}

TEST_CASE("a bad after is named", "[json_line]") {
  for (const std::string bad : {"\"5 parsecs\"", "\"5\"", "\"\"", "-1", "\"-1s\"", "1e300", "true",
                                "{}", "\"99999h\"", "99999999999"}) {
    const std::string text = problem(R"({"id":7,"status":"retry","after":)" + bad + "}");
    CHECK_THAT(text, contains("\"after\""));
    CHECK_THAT(text, contains("allowed are"));
  }
}

TEST_CASE("what is not an answer is named with its beginning", "[json_line]") {
  CHECK_THAT(problem("Ready!"), contains("not JSON") && contains("Ready!"));
  CHECK_THAT(problem(""), contains("not JSON"));
  CHECK_THAT(problem(R"({"id":7,"status":"done")"), contains("not JSON"));
  CHECK_THAT(problem(R"({"id":7,"status":"done"} extra)"), contains("not JSON"));
  CHECK_THAT(problem("{\"id\":7,\"status\":\"\xFF\"}"), contains("not JSON"));
  CHECK_THAT(problem(std::string("\0\0", 2)), contains("not JSON"));
  CHECK_THAT(problem("[7]"), contains("not a JSON object"));
  CHECK_THAT(problem("7"), contains("not a JSON object"));
  CHECK(problem(std::string(500000, 'x')).size() < 300);
}

TEST_CASE("a wrong or missing id is named", "[json_line]") {
  CHECK_THAT(problem(R"({"status":"done"})"), contains("no \"id\""));
  CHECK_THAT(problem(R"({"id":8,"status":"done"})"), contains("wrong \"id\" 8 instead of 7"));
  for (const std::string bad : {"\"7\"", "7.0", "7.5", "[7]", "1e99", "18446744073709551615"}) {
    CHECK_THAT(problem(R"({"status":"done","id":)" + bad + "}"), contains("wrong \"id\""));
  }
}

TEST_CASE("an unknown status is named with what is allowed", "[json_line]") {
  CHECK_THAT(problem(R"({"id":7})"), contains("no \"status\"") && contains("\"done\""));
  for (const std::string bad : {"\"ok\"", "\"Done\"", "1", "[]"}) {
    CHECK_THAT(problem(R"({"id":7,"status":)" + bad + "}"),
               contains("unknown \"status\"") && contains("\"retry\""));
  }
}

TEST_CASE("the result is bounded text; other values as JSON in their own order", "[json_line]") {
  CHECK(answer(R"({"id":7,"status":"done","result":"fine"})").result == "fine");
  CHECK(answer(R"({"id":7,"status":"done","result":{"z":1,"a":[true]}})").result ==
        R"({"z":1,"a":[true]})");
  CHECK(answer(R"({"id":7,"status":"done","result":42})").result == "42");
  CHECK(answer(R"({"id":7,"status":"done","result":null})").result.empty());
  const std::string big(100000, 'r');
  CHECK(answer(R"({"id":7,"status":"done","result":")" + big + "\"}").result.size() ==
        kResultBytes);
}

TEST_CASE("an error is bounded text without NUL", "[json_line]") {
  const std::string big(100000, 'e');
  CHECK(answer(R"({"id":7,"status":"dead","error":")" + big + "\"}").error.size() == kErrorBytes);
  CHECK(answer(R"({"id":7,"status":"dead","error":"a\u0000b"})").error ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK_THAT(problem(R"({"id":7,"status":"dead","error":5})"), contains("\"error\""));
}

TEST_CASE("an answer nested without end is refused, not followed", "[json_line]") {
  const std::string deep(500000, '[');
  CHECK_THAT(problem(R"({"id":7,"status":"done","result":)" + deep), contains("nested too deeply"));
  const std::string fine = std::string(50, '[') + std::string(50, ']');
  CHECK(answer(R"({"id":7,"status":"done","result":)" + fine + "}").result == fine);
}
