#include "handlers/json_line.h"

#include <nlohmann/json.hpp>

#include "handlers/consumer_loop.h"
#include "handlers/limits.h"
#include "support/catch.h"

using namespace pgforeman;
using pgforeman::test::contains;

namespace {

Answer believed(const std::string& line, std::int64_t id = 7) {
  INFO(line);
  auto parsed = parse_answer(line, id);
  INFO(parsed.problem);
  REQUIRE(parsed.value);
  return *parsed.value;
}

/// Of an answer with nothing to mend.
Outcome answer(const std::string& line, std::int64_t id = 7) {
  const Answer parsed = believed(line, id);
  CHECK(parsed.warning.empty());
  return parsed.outcome;
}

constexpr const char* kReplacement = "\xEF\xBF\xBD";

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
  CHECK(line.find_first_of("\r\n") == line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  CHECK(json["id"] == 41);
  CHECK(json["queue"] == "q\"1");
  CHECK(json["attempt"] == 2);
  CHECK(json["fence"] == 5);
  CHECK(json["payload"]["text"] == "a \"quoted\" caf\u00e9\n");
  CHECK(json["headers"]["trace"] == "abc");
  CHECK(json["enqueued_at"] == "2024-05-06T07:08:09.123456Z");
  CHECK(json["deadline_seconds"] == 1.5);
  CHECK(json["idempotency_key"] == "41-1714979289123456");
  CHECK(json.size() == 9);
}

TEST_CASE("a payload with newlines between its tokens is still one line", "[json_line]") {
  const std::string line =
      request_line(test::message(1, "{\n  \"a\": [1,\r\n 2]\r}"), "\"q\"", Millis{1000});
  CHECK(line.find_first_of("\r\n") == line.size() - 1);
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

TEST_CASE("a retry with a bad after is believed, and the after is named in a warning",
          "[json_line]") {
  for (const std::string bad : {"\"5 parsecs\"", "\"5\"", "\"\"", "-1", "\"-1s\"", "1e300", "true",
                                "{}", "\"99999h\"", "99999999999", "NaN", "-Infinity"}) {
    const Answer parsed = believed(R"({"id":7,"status":"retry","after":)" + bad + "}");
    CHECK(parsed.outcome.kind == Outcome::Kind::retry);
    CHECK_FALSE(parsed.outcome.after);
    CHECK_THAT(parsed.warning, contains("\"after\"") && contains("allowed are"));
  }
}

TEST_CASE("texts of any bytes do not keep an answer from being believed", "[json_line]") {
  const auto result = [](const std::string& value) {
    const Answer parsed = believed(R"({"id":7,"status":"done","result":)" + value + "}");
    CHECK_THAT(parsed.warning, contains("not strict JSON"));
    CHECK(parsed.outcome.kind == Outcome::Kind::done);
    return parsed.outcome.result;
  };
  CHECK(result("\"caf\xE9\"") == std::string("caf") + kReplacement);
  CHECK(result("\"a\tb\x01\"") == "a\tb\x01");
  CHECK(result(std::string("\"a\0b\"", 5)) == std::string("a") + kReplacement + "b");
  CHECK(result(R"("\ud83d")") == kReplacement);
  CHECK(result(R"("\ude00\ud83d\ude00")") == std::string(kReplacement) + "\xF0\x9F\x98\x80");
  CHECK(result(R"("C:\work\x1")") == R"(C:\work\x1)");
  CHECK(result("{\"score\": NaN, \"most\":-Infinity}") == R"({"score":"NaN","most":"-Infinity"})");
  CHECK(result("[1e999, .5, None, 007]") == R"(["1e999",".5","None","007"])");
  CHECK(result("[1, 2,]") == "[1,2]");
  CHECK(result(std::string(400, '9')) == std::string(400, '9'));
}

TEST_CASE("an answer may begin with a byte order mark or a record separator", "[json_line]") {
  CHECK(answer("\xEF\xBB\xBF{\"id\":7,\"status\":\"done\"}").kind == Outcome::Kind::done);
  CHECK(believed("\x1E{\"id\":7,\"status\":\"done\",}").outcome.kind == Outcome::Kind::done);
}

TEST_CASE("a line that is no answer is quoted from its beginning", "[json_line]") {
  CHECK_THAT(problem("Ready!"), contains("not JSON") && contains("Ready!"));
  CHECK_THAT(problem(""), contains("not JSON"));
  CHECK_THAT(problem(R"({"id":7,"status":"done")"), contains("not JSON"));
  CHECK_THAT(problem(R"({"id":7,"status":"done"} extra)"), contains("not JSON"));
  CHECK_THAT(problem("{\"id\":7,\"status\":\"\xFF\"}"), contains("unknown \"status\""));
  CHECK_THAT(problem(std::string("\0\0", 2)), contains("not JSON"));
  CHECK_THAT(problem("[7]"), contains("not a JSON object"));
  CHECK_THAT(problem("7"), contains("not a JSON object"));
  CHECK(problem(std::string(500000, 'x')).size() < 300);
}

TEST_CASE("a wrong or missing id is named with what is wanted", "[json_line]") {
  CHECK_THAT(problem(R"({"status":"done"})"), contains("no \"id\"") && contains("message's, 7"));
  CHECK_THAT(problem(R"({"id":8,"status":"done"})"),
             contains("wrong \"id\" 8 (number) instead of 7"));
  CHECK_THAT(problem(R"({"id":"x","status":"done"})"), contains("\"x\" (string) instead of 7"));
  for (const std::string bad : {"\"07\"", "7.5", "[7]", "1e99", "18446744073709551615", "true"}) {
    CHECK_THAT(problem(R"({"status":"done","id":)" + bad + "}"),
               contains("wrong \"id\"") && contains("as a number or as a string of its digits"));
  }
}

TEST_CASE("an id comes back as a number or as a string of its digits", "[json_line]") {
  for (const std::string good : {"7", "\"7\"", "7.0", "0.7e1"}) {
    CHECK(answer(R"({"status":"done","id":)" + good + "}").kind == Outcome::Kind::done);
  }
}

TEST_CASE("ids that no double holds go out as strings and may come back rounded", "[json_line]") {
  constexpr std::int64_t kExact = std::int64_t{1} << 53U;
  Message message = test::message(kExact + 1, "1");
  message.fence = kExact + 3;
  auto json = nlohmann::json::parse(request_line(message, "\"q\"", Millis{1000}));
  CHECK(json["id"] == "9007199254740993");
  CHECK(json["fence"] == "9007199254740995");
  CHECK(json["idempotency_key"] == "9007199254740993-1714979289123456");
  message.id = kExact;
  json = nlohmann::json::parse(request_line(message, "\"q\"", Millis{1000}));
  CHECK(json["id"] == kExact);

  for (const std::string good :
       {"\"9007199254740993\"", "9007199254740993", "9007199254740992", "9007199254740992.0"}) {
    answer(R"({"status":"done","id":)" + good + "}", kExact + 1);
  }
  for (const std::string bad : {"9007199254740991", "9007199254740996", "\"9007199254740992\""}) {
    INFO(bad);
    CHECK_FALSE(parse_answer(R"({"status":"done","id":)" + bad + "}", kExact + 1).value);
  }
  CHECK_FALSE(parse_answer(R"({"status":"done","id":9007199254740991})", kExact).value);
}

TEST_CASE("a line is recognised as an answer by its status", "[json_line]") {
  for (const std::string line :
       {R"({"id":null,"status":"done"})", R"({"status":"done"})", R"({"status":"done","result":1})",
        R"({"status":"retry","why":"busy"})", R"( {"id":"x","status":"done"})"}) {
    INFO(line);
    CHECK(looks_like_answer(line));
  }
  for (const std::string line :
       {R"({"status":"done","level":"info"})", R"({"id":987,"status":"done","total":5})",
        R"({"status":"ok"})", R"(["status","done"])", R"({"a":{"status":"done"}})", "status done",
        R"("status")", ""}) {
    INFO(line);
    CHECK_FALSE(looks_like_answer(line));
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
  const Answer number = believed(R"({"id":7,"status":"dead","error":{"code":5}})");
  CHECK(number.outcome.error == R"({"code":5})");
  CHECK_THAT(number.warning, contains("\"error\""));
}

TEST_CASE("a value nested too deep is left out", "[json_line]") {
  const std::string deep(100000, '[');
  CHECK_THAT(problem(R"({"id":7,"status":"done","result":)" + deep), contains("not JSON"));
  const Answer parsed =
      believed(R"({"id":7,"result":)" + deep + std::string(100000, ']') + R"(,"status":"done"})");
  CHECK(parsed.outcome.kind == Outcome::Kind::done);
  CHECK(parsed.outcome.result.size() < 300);
  CHECK_THAT(parsed.warning, contains("nested"));
  const std::string fine = std::string(50, '[') + std::string(50, ']');
  CHECK(answer(R"({"id":7,"status":"done","result":)" + fine + "}").result == fine);
}
