#pragma once
// Whether the books balance: what handlers wrote down, what senders got as an answer, and what the
// database says in the end. Pure: books_test.cpp doctors them.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "faults/ledger.h"

namespace pgforeman::test {

/// What the database says of a message: where it ended, and what it knew then.
struct MessageEnd {
  enum class Where { done, dead, left };
  /// A failed run, as the message's history has it.
  struct Vain {
    std::int64_t fence = 0;
    std::string cause;
    std::string signal = {};  ///< "SIGTERM", of a process that one ended; else ""
  };
  std::int64_t id = 0;      ///< as LedgerRun has it
  std::int64_t claims = 0;  ///< the fence of its last claim
  Where where = Where::done;
  double at = 0;              ///< seconds of the monotonic clock; 0: it is left
  std::string reason;         ///< of a dead letter
  bool poison = false;        ///< sent to crash
  std::vector<Vain> history;  ///< oldest first; at most 20
  int crashes = 0;            ///< that it was charged with before it left the queue
};

/// When runs may have been lost without a trace in the database.
struct Incident {
  std::string fleet;  ///< "": all
  std::string what;
  double from = 0, until = 0;       ///< seconds of the monotonic clock
  std::set<std::int64_t> ids = {};  ///< only these messages; empty: any
};

/// When a consumer or a handler may have been ended, so many of them.
struct Blow {
  std::string fleet;
  double from = 0, until = 0;  ///< seconds of the monotonic clock
  int workers = 1;
};

/// The queue was set back to what it had been before.
struct Restore {
  double at = 0;                ///< seconds of the monotonic clock
  std::set<std::int64_t> back;  ///< messages that were in the queue then, and so are again
  std::set<std::int64_t> lost;  ///< in the queue or dead letters until now, and nowhere since
};

struct Books {
  std::set<std::int64_t> sent;  ///< acknowledged to a sender
  std::vector<LedgerRun> runs;
  std::vector<MessageEnd> ends;
  std::vector<Incident> incidents;
  std::vector<Blow> blows;
  std::vector<Blow> told = {};  ///< handlers got SIGTERM, and their fleet did not
  std::vector<Restore> restores = {};
  double longest_run = 5;  ///< seconds; a run without an end is over by then
};

struct Verdict {
  std::int64_t sent = 0, unacknowledged = 0, done = 0, dead = 0, left = 0;
  std::int64_t after_the_dump = 0;  ///< lost with what was set back
  std::int64_t runs = 0, extra = 0;
  std::map<std::string, std::int64_t> explained;  ///< extra runs by their reason
  std::map<std::string, std::int64_t> causes;     ///< what the histories say, by its cause
  std::int64_t unbegun = 0;  ///< in a history, but killed before the handler's first act
  std::vector<std::string> problems;
  std::string text() const;
};

Verdict audit(const Books& books);

}  // namespace pgforeman::test
