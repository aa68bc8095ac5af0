#pragma once
// Lists dead letters, puts them back into their queue, deletes them. Each call is one statement.
// Fork: after.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "queue/connection.h"

namespace pgforeman {

struct DeadLetter {
  std::int64_t id = 0;  ///< after a restore several may have one id; died_at then differs
  std::string queue;
  int priority = 2;
  int attempts = 0;         ///< failed runs that killed no process
  int crashes = 0;          ///< runs that killed a process
  std::int64_t claims = 0;  ///< the last fence
  std::string reason;       ///< "handler", "max_attempts", "max_crashes" or "max_claims"
  std::string error;        ///< the last error; may be empty; in a list cut to 300 characters
  std::string enqueued_at, died_at;  ///< ISO 8601 in UTC
  // Filled only by read_letter():
  std::string payload, headers;
  std::string history;  ///< JSON array of its last runs, oldest first: history.h
};

struct RetriedLetter {
  std::int64_t id = 0;      ///< as a dead letter
  std::int64_t new_id = 0;  ///< as a message; differs if another message had `id` already
};

struct RetriedCount {
  std::int64_t retried = 0;
  std::int64_t renumbered = 0;  ///< those of them that got another id
};

/// Selects dead letters; an empty text matches any.
struct DeadFilter {
  std::string queue;
  std::string reason;
  std::string error_part;  ///< text that the error must contain
};

class DeadLetters {
 public:
  DeadLetters(Connection& connection, DeadFilter filter)
      : connection_(connection), filter_(std::move(filter)) {}

  /// Returns the newest first, without payload, headers and history.
  std::vector<DeadLetter> list(int limit);
  /// Returns all with this id, with the same fields.
  std::vector<DeadLetter> with_id(std::int64_t id);
  /// Returns all fields of a listed dead letter; nothing if it is gone.
  std::optional<DeadLetter> read_letter(const DeadLetter& listed);

  /// Puts dead letters back to ready with all attempts; the fence keeps growing. A message keeps
  /// its id unless another message has it by now. Returns those found: several may have one id.
  std::vector<RetriedLetter> retry(std::span<const std::int64_t> ids);
  std::vector<std::int64_t> purge(std::span<const std::int64_t> ids);

  /// Do the same for all that match the filter, oldest first, at most `limit` a call: repeat until
  /// a call returns 0. Only letters that died before `before` (from now()) count, so the loop ends
  /// even if messages die again meanwhile.
  RetriedCount retry_before(const std::string& before, int limit);
  std::int64_t purge_before(const std::string& before, int limit);

  /// Returns the database's time, for the calls above.
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
