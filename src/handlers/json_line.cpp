#include "handlers/json_line.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/duration.h"
#include "base/utc_time.h"
#include "handlers/limits.h"
#include "handlers/text.h"

namespace pgforeman {
namespace {

// Keeps the order in which the handler wrote the keys of its result.
using Json = nlohmann::ordered_json;
using Answer = Parsed<Outcome>;

// Far below what would exhaust the stack when a nested result is printed again.
constexpr int kMaxDepth = 100;

std::string bounded(std::string_view text, std::size_t limit) {
  const std::string clean = clean_text(text.substr(0, limit + 4));
  return std::string(first_bytes(clean, limit));
}

/// As the handler wrote it: a string has its quotes already.
std::string shown(const Json& value) {
  constexpr std::size_t kMost = 200;
  const std::string text = value.dump();
  return text.size() <= kMost ? clean_text(text) : bounded(text, kMost) + "...";
}

const Json* find(const Json& answer, const char* key) {
  const auto it = answer.find(key);
  return it == answer.end() || it->is_null() ? nullptr : &*it;
}

/// Parses the line; discards what is nested too deeply instead of building it.
Parsed<Json> parse_object(std::string_view line) {
  bool too_deep = false;
  const auto guard = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) too_deep = true;
    return !too_deep;
  };
  Json answer = Json::parse(line, guard, /*allow_exceptions=*/false);
  if (too_deep) return Parsed<Json>::wrong("a line nested too deeply: " + excerpt(line));
  if (answer.is_discarded()) {
    return Parsed<Json>::wrong("a line that is not JSON: " + excerpt(line));
  }
  if (!answer.is_object()) {
    return Parsed<Json>::wrong("a line that is not a JSON object: " + excerpt(line));
  }
  return Parsed<Json>::ok(std::move(answer));
}

Parsed<Millis> parse_after(const Json& after) {
  const auto wrong = [&](const std::string& why) {
    return Parsed<Millis>::wrong("an \"after\" of " + shown(after) + " which " + why +
                                 "; allowed are a number of seconds or a duration such as \"5s\"");
  };
  if (after.is_string()) {
    auto parsed = parse_duration(after.get_ref<const std::string&>());
    if (!parsed) return wrong(parsed.problem);
    if (*parsed.value > kLongestAfter) return wrong("is longer than 366 days");
    return parsed;
  }
  if (!after.is_number()) return wrong("is no duration");
  const double ms = std::ceil(after.get<double>() * 1000);
  if (!(ms >= 0)) return wrong("is negative");
  if (ms > static_cast<double>(kLongestAfter.count())) return wrong("is longer than 366 days");
  return Parsed<Millis>::ok(Millis{static_cast<std::int64_t>(ms)});
}

Parsed<Outcome::Kind> parse_status(const Json& answer) {
  using Kind = Parsed<Outcome::Kind>;
  constexpr std::string_view allowed = "; allowed are \"done\", \"retry\" and \"dead\"";
  const Json* status = find(answer, "status");
  if (status == nullptr) return Kind::wrong("no \"status\"" + std::string(allowed));
  if (status->is_string()) {
    const auto& word = status->get_ref<const std::string&>();
    if (word == "done") return Kind::ok(Outcome::Kind::done);
    if (word == "retry") return Kind::ok(Outcome::Kind::retry);
    if (word == "dead") return Kind::ok(Outcome::Kind::dead);
  }
  return Kind::wrong("an unknown \"status\" " + shown(*status) + std::string(allowed));
}

/// Empty when the answer is about message `id`.
std::string id_problem(const Json& answer, std::int64_t id) {
  const Json* given = find(answer, "id");
  if (given == nullptr) return "no \"id\"";
  // A double or an out-of-range number never equals one: 7.0 is not 7 here.
  if (given->is_number_integer() && *given == id) return {};
  return "the wrong \"id\" " + shown(*given) + " instead of " + std::to_string(id);
}

}  // namespace

std::string json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string request_line(const Message& message, std::string_view queue_json, Millis timeout) {
  std::string line;
  line.reserve(message.payload.size() + message.headers.size() + queue_json.size() + 200);
  line += "{\"id\":";
  line += std::to_string(message.lease.id);
  line += ",\"queue\":";
  line += queue_json;
  line += ",\"attempt\":";
  line += std::to_string(message.attempt);
  line += ",\"fence\":";
  line += std::to_string(message.fence);
  line += ",\"payload\":";
  line += message.payload;
  line += ",\"headers\":";
  line += message.headers.empty() ? "{}" : message.headers;
  line += ",\"enqueued_at\":";
  line += '"' + utc_text(message.enqueued_at) + '"';
  line += ",\"deadline_seconds\":";
  line += decimal_seconds(timeout);
  line += '}';
  // PostgreSQL prints jsonb on one line. Should text from elsewhere hold newlines, they are white
  // space between tokens (inside strings JSON wants \n), and must not end the line.
  std::replace(line.begin(), line.end(), '\n', ' ');
  line += '\n';
  return line;
}

Parsed<Outcome> parse_answer(std::string_view line, std::int64_t id) {
  auto object = parse_object(line);
  if (!object) return Answer::wrong(object.problem);
  const Json& answer = *object.value;
  if (std::string problem = id_problem(answer, id); !problem.empty()) return Answer::wrong(problem);

  const auto status = parse_status(answer);
  if (!status) return Answer::wrong(status.problem);
  Outcome outcome;
  outcome.kind = *status.value;
  if (outcome.kind == Outcome::Kind::retry) outcome.evidence.cause = Cause::retry;
  if (outcome.kind == Outcome::Kind::dead) outcome.evidence.cause = Cause::dead;

  if (const Json* after = find(answer, "after")) {
    const auto parsed = parse_after(*after);
    if (!parsed) return Answer::wrong(parsed.problem);
    if (outcome.kind == Outcome::Kind::retry) outcome.after = parsed.value;
  }
  if (const Json* error = find(answer, "error")) {
    if (!error->is_string())
      return Answer::wrong("an \"error\" that is no string: " + shown(*error));
    outcome.error = bounded(error->get_ref<const std::string&>(), kErrorBytes);
  }
  if (const Json* result = find(answer, "result"); result && outcome.kind == Outcome::Kind::done) {
    const std::string text = result->is_string() ? result->get<std::string>() : result->dump();
    outcome.result = bounded(text, kResultBytes);
  }
  if (outcome.error.empty() && outcome.kind != Outcome::Kind::done) {
    outcome.error = outcome.kind == Outcome::Kind::dead ? "the handler answered dead"
                                                        : "the handler answered retry";
  }
  if (outcome.kind == Outcome::Kind::done) outcome.error.clear();
  return Answer::ok(std::move(outcome));
}

}  // namespace pgforeman
