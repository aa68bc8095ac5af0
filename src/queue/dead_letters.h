#pragma once
// Dead letters: lists them, puts them back into their queue, deletes them. One call, one statement.
// Fork: after.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "queue/connection.h"

namespace pgforeman {

struct DeadLetter {
  std::int64_t id = 0;  ///< with died_at: which letter. After a restore several may have one id
  std::string queue;
  int priority = 2;
  int attempts = 0;                  ///< failed runs that killed no process
  int crashes = 0;                   ///< runs that killed a process
  std::int64_t claims = 0;           ///< the last fence
  std::string reason;                ///< "handler", "max_attempts", "max_crashes" or "max_claims"
  std::string error;                 ///< the last one; may be empty, and is cut in a list
  std::string enqueued_at, died_at;  ///< ISO 8601 in UTC
  // Not read for a list:
  std::string payload, headers;
  std::string history;  ///< JSON array of its last runs, oldest first: history.h
};

struct RetriedLetter {
  std::int64_t id = 0;      ///< as a dead letter
  std::int64_t new_id = 0;  ///< as a message; another one if a message had its id already
};

struct RetriedCount {
  std::int64_t retried = 0;
  std::int64_t renumbered = 0;  ///< of these: under another id
};

/// Which dead letters; an empty text: any.
struct DeadFilter {
  std::string queue;
  std::string reason;
  std::string error_part;  ///< what the error must hold
};

class DeadLetters {
 public:
  DeadLetters(Connection& connection, DeadFilter filter)
      : connection_(connection), filter_(std::move(filter)) {}

  /// Newest first, without what is large.
  std::vector<DeadLetter> list(int limit);
  /// All with this id, likewise.
  std::vector<DeadLetter> with_id(std::int64_t id);
  /// All of one that was listed; nothing when it is gone.
  std::optional<DeadLetter> in_full(const DeadLetter& listed);

  /// Back to ready with all attempts; the fence goes on growing. The id stays, unless another
  /// message has it by now. Returns those found: an id may stand for several.
  std::vector<RetriedLetter> retry(std::span<const std::int64_t> ids);
  std::vector<std::int64_t> purge(std::span<const std::int64_t> ids);

  /// The same for all that the filter lets through, oldest first, at most `limit` a call: until one
  /// returns 0. Only those that died before `before` (from now()), so that what dies again
  /// meanwhile does not make it endless.
  RetriedCount retry_before(const std::string& before, int limit);
  std::int64_t purge_before(const std::string& before, int limit);

  /// The database's clock, for the calls above.
  std::string now();
  std::int64_t count();

 private:
  std::vector<DeadLetter> summaries(const std::string& ids, int limit);
  pqxx::result change(const std::string& columns, const std::string& function,
                      const std::string& ids, const std::string& before, int limit);

  Connection& connection_;
  DeadFilter filter_;
};

}  // namespace pgforeman
