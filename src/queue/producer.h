#pragma once
// Sends messages with pgforeman.send_batch. Each call is one statement in one transaction: it
// enqueues all of its messages or none. Fork: after.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "queue/connection.h"
#include "system/clock.h"

namespace pgforeman {

struct SendOptions {
  int priority = 2;            ///< 0 urgent, 1 high, 2 normal, 3 low
  Millis delay{0};             ///< time until the messages are claimable
  std::string headers = "{}";  ///< a JSON object, for every message of the call
};

class Producer {
 public:
  Producer(Connection& connection, std::string queue)
      : connection_(connection), queue_(std::move(queue)) {}

  /// Sends JSON texts and returns their ids in the same order. Throws DatabaseError; `rejected` for
  /// JSON that PostgreSQL does not accept: find_rejected() then says which.
  std::vector<std::int64_t> send_batch(std::span<const std::string> payloads,
                                       const SendOptions& options = {});
  std::int64_t send(const std::string& payload, const SendOptions& options = {});

  /// The first payload that PostgreSQL does not accept as JSON, and why. Finding it sends nothing.
  struct Rejected {
    std::size_t index;
    std::string why;
  };
  std::optional<Rejected> find_rejected(std::span<const std::string> payloads);

 private:
  std::optional<std::string> why_rejected(std::span<const std::string> payloads);

  Connection& connection_;
  std::string queue_;
};

}  // namespace pgforeman
