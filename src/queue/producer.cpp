#include "queue/producer.h"

#include <pqxx/result>

#include "queue/connection_impl.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;

/// Refuses a NUL: libpq ends a parameter there and would silently lose the rest of a payload.
void refuse_nul(std::span<const std::string> payloads) {
  for (const std::string& payload : payloads) {
    if (payload.find('\0') != std::string::npos) {
      throw DatabaseError(Kind::rejected, "a NUL byte is not valid in JSON");
    }
  }
}

}  // namespace

std::vector<std::int64_t> Producer::send_batch(std::span<const std::string> payloads,
                                               const SendOptions& options) {
  refuse_nul(payloads);
  const pqxx::result rows = connection_.impl().call(
      "select pgforeman.send_batch($1, $2::json[], $3::int, $4::interval, $5::jsonb)",
      {queue_, array_text(payloads), std::to_string(options.priority), interval_text(options.delay),
       options.headers});
  std::vector<std::int64_t> ids;
  ids.reserve(payloads.size());
  for (const auto& row : rows) ids.push_back(row[0].as<std::int64_t>());
  return ids;
}

std::int64_t Producer::send(const std::string& payload, const SendOptions& options) {
  return send_batch(std::span(&payload, 1), options).at(0);
}

std::optional<std::string> Producer::why_rejected(std::span<const std::string> payloads) {
  try {
    refuse_nul(payloads);
    connection_.impl().call("select pg_catalog.cardinality($1::json[])", {array_text(payloads)});
    return std::nullopt;
  } catch (const DatabaseError& e) {
    if (e.kind() != Kind::rejected) throw;
    return e.what();
  }
}

std::optional<Producer::Rejected> Producer::find_rejected(std::span<const std::string> payloads) {
  auto why = why_rejected(payloads);
  if (!why) return std::nullopt;
  std::size_t low = 0, high = payloads.size();  // the first bad one is in [low, high)
  while (high - low > 1) {
    const std::size_t middle = low + (high - low) / 2;
    if (auto half = why_rejected(payloads.subspan(low, middle - low))) {
      why = std::move(half);
      high = middle;
    } else {
      low = middle;
    }
  }
  return Rejected{low, *why_rejected(payloads.subspan(low, 1))};
}

}  // namespace pgforeman
