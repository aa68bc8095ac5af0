#pragma once
// Lists the queues in use, for questions about an empty one: its name may be mistyped.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "queue/connection.h"

namespace pgforeman {

struct QueueSize {
  std::string name;
  std::int64_t messages = 0;  ///< at most kMostCounted, which means "or more"
  std::int64_t dead = 0;      ///< dead letters; at most kMostCounted too
  static constexpr std::int64_t kMostCounted = 1000;
};

/// The most names in a list for a person.
inline constexpr int kMostNamedQueues = 20;

/// Returns the first `most` queues, by name, with messages or dead letters. Throws DatabaseError.
std::vector<QueueSize> queues_in_use(Connection& connection, int most);

/// Returns "mail (3), words (1000+)"; leaves out queues with a `count` of 0.
std::string names_with_counts(std::span<const QueueSize> queues, std::int64_t QueueSize::*count);

}  // namespace pgforeman
