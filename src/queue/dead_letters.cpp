#include "queue/dead_letters.h"

#include <limits>
#include <pqxx/result>

#include "queue/connection_impl.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

// Queue, ids, reason, part of the error. '' means "any", as none of them can be empty.
const std::string kFilterArguments =
    "nullif($1, ''), nullif($2, '')::bigint[], nullif($3, ''), nullif($4, '')";

constexpr int kNoLimit = std::numeric_limits<int>::max();

std::string utc(const char* column) {
  return std::string("to_char(") + column +
         " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
}

/// The columns that summary_of() reads; all are small.
const std::string kSummary =
    "id, queue, priority, attempt, crashes, claims, reason,"
    " coalesce(pg_catalog.\"left\"(error, 300), ''), " +
    utc("enqueued_at") + ", " + utc("died_at");
constexpr int kSummaryColumns = 10;

template <typename Row>
DeadLetter summary_of(const Row& row) {
  DeadLetter letter;
  letter.id = row[0].template as<std::int64_t>();
  letter.queue = row[1].c_str();
  letter.priority = row[2].template as<int>();
  letter.attempts = row[3].template as<int>();
  letter.crashes = row[4].template as<int>();
  letter.claims = row[5].template as<std::int64_t>();
  letter.reason = row[6].c_str();
  letter.error = row[7].c_str();
  letter.enqueued_at = row[8].c_str();
  letter.died_at = row[9].c_str();
  return letter;
}

std::string one_id(std::int64_t id) {
  return array_text(std::span(&id, 1));
}

}  // namespace

std::vector<DeadLetter> DeadLetters::summaries(const std::string& ids, int limit) {
  const pqxx::result rows = connection_.impl().call(
      "select " + kSummary + " from pgforeman.dead_list(" + kFilterArguments + ", $5::int)",
      {filter_.queue, ids, filter_.reason, filter_.error_part, std::to_string(limit)});
  std::vector<DeadLetter> letters;
  for (const auto& row : rows) letters.push_back(summary_of(row));
  return letters;
}

std::vector<DeadLetter> DeadLetters::list(int limit) {
  return summaries("", limit);
}

std::vector<DeadLetter> DeadLetters::with_id(std::int64_t id) {
  return summaries(one_id(id), kNoLimit);
}

std::optional<DeadLetter> DeadLetters::read_letter(const DeadLetter& listed) {
  // The time of death selects rows before their large columns are unpacked.
  const pqxx::result rows = connection_.impl().call(
      "select " + kSummary + ", coalesce(error, ''), payload, headers, history" +
          " from pgforeman.dead_list(ids => $1::bigint[], max_rows => $2::int)"
          " where died_at operator(pg_catalog.=) $3::timestamptz",
      {one_id(listed.id), std::to_string(kNoLimit), listed.died_at});
  if (rows.empty()) return std::nullopt;
  DeadLetter letter = summary_of(rows[0]);
  letter.error = rows[0][kSummaryColumns].c_str();
  letter.payload = rows[0][kSummaryColumns + 1].c_str();
  letter.headers = rows[0][kSummaryColumns + 2].c_str();
  letter.history = rows[0][kSummaryColumns + 3].c_str();
  return letter;
}

pqxx::result DeadLetters::change(const std::string& columns, const std::string& function,
                                 const std::string& ids, const std::string& before, int limit) {
  return connection_.impl().call(
      "select " + columns + " from pgforeman." + function + "(" + kFilterArguments +
          ", $5::timestamptz, $6::int) d",
      {filter_.queue, ids, filter_.reason, filter_.error_part, before, std::to_string(limit)});
}

std::vector<RetriedLetter> DeadLetters::retry(std::span<const std::int64_t> ids) {
  std::vector<RetriedLetter> retried;
  const auto rows = change("id, new_id", "dead_retry", array_text(ids), "infinity", kNoLimit);
  for (const auto& row : rows) {
    retried.push_back({row[0].as<std::int64_t>(), row[1].as<std::int64_t>()});
  }
  return retried;
}

std::vector<std::int64_t> DeadLetters::purge(std::span<const std::int64_t> ids) {
  std::vector<std::int64_t> purged;
  const auto rows = change("d", "dead_purge", array_text(ids), "infinity", kNoLimit);
  for (const auto& row : rows) purged.push_back(row[0].as<std::int64_t>());
  return purged;
}

RetriedCount DeadLetters::retry_before(const std::string& before, int limit) {
  const auto rows = change("count(*), count(*) filter (where id operator(pg_catalog.<>) new_id)",
                           "dead_retry", "", before, limit);
  return {rows[0][0].as<std::int64_t>(), rows[0][1].as<std::int64_t>()};
}

std::int64_t DeadLetters::purge_before(const std::string& before, int limit) {
  return change("count(*)", "dead_purge", "", before, limit)[0][0].as<std::int64_t>();
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
