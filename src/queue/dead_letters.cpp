#include "queue/dead_letters.h"

#include <pqxx/result>

#include "queue/session.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

// None of the four can be empty: '' stands for "any".
constexpr const char* kWhich =
    "nullif($1, ''), nullif($2, '')::bigint[], nullif($3, ''), nullif($4, '')";

constexpr const char* kIsoUtc = "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'";

std::string utc(const char* column) {
  return std::string("to_char(") + column + " at time zone 'UTC', " + kIsoUtc + ")";
}

}  // namespace

std::vector<DeadLetter> DeadLetters::read(const std::string& ids, int limit) {
  const pqxx::result rows = connection_.impl().call(
      "select id, queue, lane / 2, attempt, crashes, claims, reason, coalesce(error, ''), payload, "
      "headers, history, " +
          utc("enqueued_at") + ", " + utc("died_at") + " from pgforeman.dead_list(" + kWhich +
          ", $5::int)",
      {filter_.queue, ids, filter_.reason, filter_.error_part, std::to_string(limit)});
  std::vector<DeadLetter> letters;
  for (const auto& row : rows) {
    DeadLetter letter;
    letter.id = row[0].as<std::int64_t>();
    letter.queue = row[1].c_str();
    letter.priority = row[2].as<int>();
    letter.attempts = row[3].as<int>();
    letter.crashes = row[4].as<int>();
    letter.claims = row[5].as<std::int64_t>();
    letter.reason = row[6].c_str();
    letter.error = row[7].c_str();
    letter.payload = row[8].c_str();
    letter.headers = row[9].c_str();
    letter.history = row[10].c_str();
    letter.enqueued_at = row[11].c_str();
    letter.died_at = row[12].c_str();
    letters.push_back(std::move(letter));
  }
  return letters;
}

std::vector<DeadLetter> DeadLetters::list(int limit) {
  return read("", limit);
}

std::optional<DeadLetter> DeadLetters::show(std::int64_t id) {
  auto letters = read(array_text(std::span(&id, 1)), 1);
  if (letters.empty()) return std::nullopt;
  return std::move(letters.front());
}

std::vector<std::int64_t> DeadLetters::change(const char* function,
                                              std::span<const std::int64_t> ids) {
  std::vector<std::int64_t> changed;
  if (ids.empty()) return changed;
  const pqxx::result rows = connection_.impl().call(
      "select pgforeman." + std::string(function) + "(" + kWhich + ", 'infinity', $5::int)",
      {filter_.queue, array_text(ids), filter_.reason, filter_.error_part,
       std::to_string(ids.size())});
  for (const auto& row : rows) changed.push_back(row[0].as<std::int64_t>());
  return changed;
}

std::int64_t DeadLetters::change_before(const char* function, const std::string& before,
                                        int limit) {
  return connection_.impl()
      .call("select count(*) from pgforeman." + std::string(function) + "(" + kWhich +
                ", $5::timestamptz, $6::int)",
            {filter_.queue, "", filter_.reason, filter_.error_part, before,
             std::to_string(limit)})[0][0]
      .as<std::int64_t>();
}

std::vector<std::int64_t> DeadLetters::retry(std::span<const std::int64_t> ids) {
  return change("dead_retry", ids);
}
std::vector<std::int64_t> DeadLetters::purge(std::span<const std::int64_t> ids) {
  return change("dead_purge", ids);
}
std::int64_t DeadLetters::retry_before(const std::string& before, int limit) {
  return change_before("dead_retry", before, limit);
}
std::int64_t DeadLetters::purge_before(const std::string& before, int limit) {
  return change_before("dead_purge", before, limit);
}

std::string DeadLetters::now() {
  return connection_.impl().call("select clock_timestamp()")[0][0].c_str();
}

std::int64_t DeadLetters::count() {
  return connection_.impl()
      .call("select pgforeman.dead_count(nullif($1, ''), nullif($2, ''), nullif($3, ''))",
            {filter_.queue, filter_.reason, filter_.error_part})[0][0]
      .as<std::int64_t>();
}

}  // namespace pgforeman
