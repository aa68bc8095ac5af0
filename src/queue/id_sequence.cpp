#include "queue/id_sequence.h"

#include <pqxx/result>

#include "queue/session.h"

namespace pgforeman {

std::optional<AdvancedIds> advance_ids(Connection& connection) {
  const pqxx::result rows =
      connection.impl().call("select was, now_at, moved from pgforeman.advance_ids()");
  if (rows.empty()) return std::nullopt;
  return AdvancedIds{rows[0][0].as<std::int64_t>(), rows[0][1].as<std::int64_t>(),
                     rows[0][2].as<bool>()};
}

}  // namespace pgforeman
