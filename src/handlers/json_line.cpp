#include "handlers/json_line.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "handlers/lenient_json.h"
#include "handlers/limits.h"
#include "handlers/text.h"
#include "text/quantity.h"
#include "text/utc_time.h"

namespace pgforeman {
namespace {

// ordered_json keeps the order in which the handler wrote the keys of its result.
using Json = nlohmann::ordered_json;

// The deepest nesting of an answer, far below what exhausts the stack when a result is printed.
constexpr int kMaxDepth = 100;
// The largest integer that a double holds exactly: JavaScript, jq and others read numbers as
// doubles.
constexpr std::int64_t kLargestExact = std::int64_t{1} << 53U;

std::string bounded(std::string_view text, std::size_t limit) {
  const std::string clean = clean_text(text.substr(0, limit + 4));
  return std::string(utf8_prefix(clean, limit));
}

/// Returns the value as JSON text for an error, cut after 200 bytes; a string keeps its quotes.
std::string shown(const Json& value) {
  constexpr std::size_t kMost = 200;
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= kMost ? clean_text(text) : bounded(text, kMost) + "...";
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>()
                           : value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

const Json* find(const Json& answer, const char* key) {
  const auto it = answer.find(key);
  return it == answer.end() || it->is_null() || it->is_discarded() ? nullptr : &*it;
}

void warn(std::string& warning, const std::string& text) {
  warning += (warning.empty() ? "" : "; ") + text;
}

/// Parses `text`; leaves out values that are nested too deeply, with a warning.
Json parse(std::string_view text, std::string* warning) {
  bool too_deep = false;
  const auto guard = [&](int depth, Json::parse_event_t, Json&) {
    if (depth <= kMaxDepth) return true;
    too_deep = true;
    return false;
  };
  Json json = Json::parse(text, guard, /*allow_exceptions=*/false);
  if (too_deep) warn(*warning, "values nested more than 100 deep were left out");
  return json;
}

Parsed<Json> parse_object(std::string_view line, std::string* warning) {
  Json answer = parse(line, warning);
  if (answer.is_discarded()) {
    warning->clear();
    // proves: P77 answer
    answer = parse(mend_json(line), warning);
    warn(*warning, "it is not strict JSON: " + excerpt(line));
    if (!answer.is_object()) {
      return Parsed<Json>::wrong("a line that is not JSON: " + excerpt(line));
    }
  }
  if (!answer.is_object()) {
    return Parsed<Json>::wrong("a line that is not a JSON object: " + excerpt(line));
  }
  return Parsed<Json>::ok(std::move(answer));
}

Parsed<Millis> parse_after(const Json& after) {
  const auto wrong = [&](const std::string& why) {
    return Parsed<Millis>::wrong("its \"after\" of " + shown(after) + ", which " + why +
                                 ", was left out; allowed are a number of seconds or a duration "
                                 "such as \"5s\"");
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

std::optional<Outcome::Kind> kind_of(const Json& status) {
  if (!status.is_string()) return std::nullopt;
  const auto& word = status.get_ref<const std::string&>();
  if (word == "done") return Outcome::Kind::done;
  if (word == "retry") return Outcome::Kind::retry;
  if (word == "dead") return Outcome::Kind::dead;
  return std::nullopt;
}

Parsed<Outcome::Kind> parse_status(const Json& answer) {
  using Kind = Parsed<Outcome::Kind>;
  constexpr std::string_view allowed = "; allowed are \"done\", \"retry\" and \"dead\"";
  const Json* status = find(answer, "status");
  if (status == nullptr) return Kind::wrong("an answer with no \"status\"" + std::string(allowed));
  if (const auto kind = kind_of(*status)) return Kind::ok(*kind);
  return Kind::wrong("an unknown \"status\" " + shown(*status) + std::string(allowed));
}

/// True if `given` is `id` as a number or as a string of its digits. Of an id that is not exact as
/// a double, the nearest double counts too.
bool is_id(const Json& given, std::int64_t id) {
  if (given.is_string()) return given.get_ref<const std::string&>() == std::to_string(id);
  if (!given.is_number()) return false;
  if (given.is_number_integer() && given == id) return true;
  const bool rounds = given.is_number_float() || id > kLargestExact;
  return rounds && given.get<double>() == static_cast<double>(id);
}

/// Returns why the answer is not about message `id`; empty if it is.
std::string id_problem(const Json& answer, std::int64_t id) {
  const Json* given = find(answer, "id");
  const std::string wanted = std::to_string(id);
  if (given == nullptr) return "an answer with no \"id\"; it must be the message's, " + wanted;
  if (is_id(*given, id)) return {};
  const bool other = given->is_number() || given->is_string();
  return "the wrong \"id\" " + shown(*given) + " (" +
         (other ? given->type_name() : std::string("no number: ") + given->type_name()) +
         ") instead of " + wanted + ", the message's, as a number or as a string of its digits";
}

/// Returns the number as JSON text: as a string if a double would not hold it exactly.
std::string exact_number(std::int64_t number) {
  const std::string digits = std::to_string(number);
  return number <= kLargestExact ? digits : '"' + digits + '"';
}

}  // namespace

std::string json_string(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string idempotency_key(const Message& message) {
  return std::to_string(message.id) + "-" +
         // proves: P29 key
         std::to_string(message.enqueued_at.time_since_epoch().count());
}

std::string request_line(const Message& message, std::string_view queue_json, Millis timeout) {
  std::string line;
  line.reserve(message.payload.size() + message.headers.size() + queue_json.size() + 200);
  const auto add = [&line](const auto&... parts) { ((line += parts), ...); };
  add("{\"id\":", exact_number(message.id), ",\"queue\":", queue_json);
  add(",\"attempt\":", std::to_string(message.attempt));
  add(",\"fence\":", exact_number(message.fence));
  add(",\"idempotency_key\":\"", idempotency_key(message), "\",\"payload\":", message.payload);
  add(",\"headers\":", message.headers.empty() ? "{}" : message.headers);
  add(",\"enqueued_at\":\"", utc_text(message.enqueued_at), '"');
  add(",\"deadline_seconds\":", decimal_seconds(timeout), '}');
  join_json_lines(line);
  line += '\n';
  return line;
}

Parsed<Answer> parse_answer(std::string_view line, std::int64_t id) {
  using Result = Parsed<Answer>;
  Answer result;
  auto object = parse_object(line, &result.warning);
  if (!object) return Result::wrong(object.problem);
  const Json& answer = *object.value;
  if (std::string problem = id_problem(answer, id); !problem.empty()) return Result::wrong(problem);
  const auto status = parse_status(answer);
  if (!status) return Result::wrong(status.problem);

  Outcome& outcome = result.outcome;
  outcome.kind = *status.value;
  if (outcome.kind == Outcome::Kind::done) {
    if (const Json* said = find(answer, "result")) {
      outcome.result = bounded(text_of(*said), kResultBytes);
    }
    return Result::ok(std::move(result));
  }
  const bool retry = outcome.kind == Outcome::Kind::retry;
  outcome.evidence.cause = retry ? Cause::retry : Cause::dead;
  if (const Json* after = find(answer, "after"); after != nullptr && retry) {
    const auto parsed = parse_after(*after);
    outcome.after = parsed.value;
    if (!parsed) warn(result.warning, parsed.problem);
  }
  if (const Json* error = find(answer, "error")) {
    outcome.error = bounded(text_of(*error), kErrorBytes);
    if (!error->is_string()) warn(result.warning, "its \"error\" is not a string");
  }
  if (outcome.error.empty()) {
    outcome.error = retry ? "the handler answered retry" : "the handler answered dead";
  }
  return Result::ok(std::move(result));
}

bool looks_like_answer(std::string_view line) {
  if (line.find("\"status\"") == std::string_view::npos) return false;
  std::string ignored;
  const auto object = parse_object(line, &ignored);
  if (!object) return false;
  const Json* status = find(*object.value, "status");
  if (status == nullptr || !kind_of(*status)) return false;
  if (*kind_of(*status) != Outcome::Kind::done) return true;
  // Replies of other programs may say "done" too, but they have more keys than an answer.
  const auto& items = object.value->items();
  return std::all_of(items.begin(), items.end(), [](const auto& item) {
    const std::string& key = item.key();
    return key == "id" || key == "status" || key == "result" || key == "error" || key == "after";
  });
}

}  // namespace pgforeman
