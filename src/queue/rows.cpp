#include "queue/rows.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "queue/error_kind.h"
#include "queue/sql_text.h"

namespace pgforeman {

constexpr std::size_t kSqlstateBytes = 5;

// The last column is when the message was sent, in microseconds since the epoch.
const std::string kMessageColumns =
    "id, place, attempt, fence, unfinished_claims,"
    " (pg_catalog.date_part('epoch',"
    " greatest(least(enqueued_at, '9999-12-31 UTC'), '0001-01-01 UTC'))"
    " operator(pg_catalog.*) 1000000::float8)::bigint";
const std::string kClaimedColumns = kMessageColumns + ", payload, headers";

ClaimedMessage message_of(const pqxx::row& row) {
  ClaimedMessage message;
  message.id = row[0].as<std::int64_t>();
  message.place = row[1].as<std::int64_t>();
  message.attempt = row[2].as<int>();
  message.fence = row[3].as<std::int64_t>();
  message.unfinished_claims = row[4].as<std::int64_t>();
  message.enqueued_at = std::chrono::sys_time<std::chrono::microseconds>{
      std::chrono::microseconds{row[5].as<std::int64_t>()}};
  return message;
}

std::vector<ClaimedMessage> messages_of(const pqxx::result& rows) {
  std::vector<ClaimedMessage> messages;
  messages.reserve(static_cast<std::size_t>(rows.size()));
  for (const auto& row : rows) {
    ClaimedMessage& message = messages.emplace_back(message_of(row));
    message.payload.assign(row[6].c_str(), row[6].size());
    message.headers.assign(row[7].c_str(), row[7].size());
  }
  const auto before = [](const ClaimedMessage& a, const ClaimedMessage& b) {
    return a.place < b.place;
  };
  // They are mostly in order already, and moving them costs more than the check.
  if (!std::is_sorted(messages.begin(), messages.end(), before)) {
    std::sort(messages.begin(), messages.end(), before);
  }
  return messages;
}

QueueCounts counts_of(const pqxx::row& row, int first) {
  QueueCounts counts;
  counts.ready = row[first].as<std::int64_t>();
  counts.scheduled = row[first + 1].as<std::int64_t>();
  counts.running = row[first + 2].as<std::int64_t>();
  counts.dead = row[first + 3].as<std::int64_t>();
  counts.oldest_seconds = row[first + 4].as<double>();
  counts.capped = row[first + 5].as<bool>();
  return counts;
}

Refused refused_of(const pqxx::row& row, int first, bool any_worked) {
  Refused refused{numbers_of(row[first].c_str()), row[first + 2].c_str(), any_worked};
  std::string_view states = row[first + 1].c_str();  // {23514,55P03}
  while (!refused.blamed && states.size() > kSqlstateBytes) {
    refused.blamed = is_of_row(states.substr(1, kSqlstateBytes));
    states.remove_prefix(kSqlstateBytes + 1);
  }
  return refused;
}

ServerTimes times_of(const pqxx::row& row) {
  ServerTimes times{row[1].as<std::int64_t>(), std::nullopt};
  if (!row[0].is_null()) times.next_due_us = row[0].as<std::int64_t>();
  return times;
}

RangesText::RangesText(std::span<const PlaceRange> ranges) {
  std::vector<std::int64_t> lower, upper;
  for (const PlaceRange& range : ranges) {
    lower.push_back(range.above);
    upper.push_back(range.upto);
  }
  above = array_text(lower);
  upto = array_text(upper);
}

}  // namespace pgforeman
