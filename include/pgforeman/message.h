#pragma once
// A claimed message and what became of it: the words that the queue, the handlers and the consumer
// share. Plain values; no thread-safety of their own.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace pgforeman {

/// The right to settle one message: the row's id and the token its claim wrote. A settle whose
/// token is no longer the row's changes nothing.
struct Lease {
  std::int64_t id = 0;
  std::int64_t token = 0;
};

/// One claimed row. Owned by the consumer until it is settled.
struct Message {
  Lease lease;
  int lane = 0;     ///< 2*priority + 1 fresh, 2*priority redelivered; claims run in its order
  int attempt = 1;  ///< what the handler is told: starts at 1
  std::int64_t fence = 0;   ///< grows with every claim of this message, also one at no attempt
  std::string enqueued_at;  ///< ISO 8601 in UTC
  std::string payload;      ///< JSON text as PostgreSQL prints jsonb
  std::string headers;      ///< JSON object text; "{}" when the sender gave none
};

/// What a handler, or the lack of one, made of a message.
struct Outcome {
  enum class Kind {
    done,      ///< finished: the row goes away
    retry,     ///< counts an attempt; again later, or dead after the last attempt
    dead,      ///< dead-lettered at once
    released,  ///< handed back at no attempt (drain, a handler that could not be started)
  };
  Kind kind = Kind::done;
  std::optional<std::chrono::milliseconds> after;  ///< retry only: the handler's own delay wins
  std::string error;   ///< retry and dead: one paragraph for a person; bounded, valid UTF-8
  std::string result;  ///< done: what the handler said; bounded, valid UTF-8
};

}  // namespace pgforeman
