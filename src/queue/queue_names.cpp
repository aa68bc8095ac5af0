#include "queue/queue_names.h"

#include <pqxx/result>

#include "queue/connection_impl.h"

namespace pgforeman {

std::vector<QueueSize> queues_in_use(Connection& connection, int most) {
  const pqxx::result rows = connection.impl().call(
      "select queue, messages, dead from pgforeman.queues($1::int)", {std::to_string(most)});
  std::vector<QueueSize> queues;
  for (const auto& row : rows) {
    queues.push_back({row[0].c_str(), row[1].as<std::int64_t>(), row[2].as<std::int64_t>()});
  }
  return queues;
}

std::string names_with_counts(std::span<const QueueSize> queues, std::int64_t QueueSize::*count) {
  std::string text;
  for (const QueueSize& queue : queues) {
    const std::int64_t number = queue.*count;
    if (number == 0) continue;
    text += (text.empty() ? "" : ", ") + queue.name + " (" + std::to_string(number) +
            (number == QueueSize::kMostCounted ? "+)" : ")");
  }
  // The caller asked for no more names, so there may be others.
  if (!text.empty() && queues.size() >= kMostNamedQueues) text += ", and more";
  return text;
}

}  // namespace pgforeman
