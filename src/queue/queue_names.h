#pragma once
// Which queues there are, for a question about one that has nothing: its name may be mistyped.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "queue/connection.h"

namespace pgforeman {

struct QueueSize {
  std::string name;
  std::int64_t messages = 0;  ///< at most kMostCounted, which means "or more"
  std::int64_t dead = 0;      ///< dead letters, likewise
  static constexpr std::int64_t kMostCounted = 1000;
};

/// As many names as a person reads.
inline constexpr int kMostNamedQueues = 20;

/// The first `most` queues, by name, that have messages or dead letters. Throws DatabaseError.
std::vector<QueueSize> queues_in_use(Connection& connection, int most);

/// "mail (3), words (1000+)"; queues without any of what is counted are left out.
std::string names_with_counts(std::span<const QueueSize> queues, std::int64_t QueueSize::*count);

}  // namespace pgforeman
