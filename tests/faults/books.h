#pragma once
// Checks that three records agree: the handlers' ledger, the answers that senders got, and the
// final state of the database. Pure: books_test.cpp tests it with falsified records.

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "faults/ledger.h"

namespace pgforeman::test {

/// The database's record of a message: where it ended, and its last known state.
struct MessageEnd {
  enum class Where { done, dead, left };
  /// A failed run in the message's history.
  struct Vain {
    std::int64_t fence = 0;
    std::string cause;
    std::string signal = {};  ///< the signal that ended the process, like "SIGTERM"; else ""
  };
  std::int64_t id = 0;      ///< the sender's number, as in LedgerRun
  std::int64_t claims = 0;  ///< the fence of its last claim
  Where where = Where::done;
  double at = 0;              ///< seconds of the monotonic clock; 0: still in the queue
  std::string reason;         ///< reason of a dead letter
  bool poison = false;        ///< every run crashes, or none can be begun
  std::vector<Vain> history;  ///< oldest first; at most 20
  int crashes = 0;            ///< crashes charged to it before it left the queue
};

/// A time in which runs may have been lost without a trace in the database.
struct Incident {
  std::string fleet;  ///< "": all fleets
  std::string what;
  double from = 0, until = 0;       ///< seconds of the monotonic clock
  std::set<std::int64_t> ids = {};  ///< only these messages; empty: any
};

/// A time in which a fault may have ended up to `workers` consumers or handlers.
struct Blow {
  std::string fleet;
  double from = 0, until = 0;  ///< seconds of the monotonic clock
  int workers = 1;
};

/// A restore of the queue to an earlier state.
struct Restore {
  double at = 0;                ///< seconds of the monotonic clock
  std::set<std::int64_t> back;  ///< messages in the restored queue
  std::set<std::int64_t> lost;  ///< were in the queue or dead letters, now nowhere
};

struct Books {
  std::set<std::int64_t> sent;  ///< acknowledged to a sender
  std::vector<LedgerRun> runs;
  std::vector<MessageEnd> ends;
  std::vector<Incident> incidents;
  std::vector<Blow> blows;
  std::vector<Blow> told = {};  ///< handlers got SIGTERM, their fleet did not
  std::vector<Restore> restores = {};
  double longest_run = 5;  ///< seconds; a run without a recorded end is over after this
};

struct Verdict {
  std::int64_t sent = 0, unacknowledged = 0, done = 0, dead = 0, left = 0;
  std::int64_t after_the_dump = 0;  ///< acknowledged, then lost by a restore
  std::int64_t runs = 0, extra = 0;
  std::map<std::string, std::int64_t> explained;  ///< extra runs by their reason
  std::map<std::string, std::int64_t> causes;     ///< failed runs in histories, by cause
  std::int64_t unbegun = 0;  ///< runs in a history but not in the ledger: killed before it wrote
  std::vector<std::string> problems;
  std::string text() const;
};

Verdict audit(const Books& books);

}  // namespace pgforeman::test
