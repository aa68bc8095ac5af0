#include "faults/books.h"

#include <algorithm>
#include <sstream>

namespace pgforeman::test {
namespace {

constexpr std::size_t kHistory = 20;  // as many as the queue keeps
/// A run may have ended so long before what took it: its outcome was not settled yet, as its row
/// was locked, for 6 s at most (see the catalogue), and settling is tried again after 1, 2 s.
constexpr double kUntold = 8;
/// Two fleets of four consumers, or one of them with one more, each with a batch of twenty: what an
/// incident may have taken, and again for each lease that it lasted.
constexpr double kHeldMost = 160, kHeldByOne = 100, kLease = 5;
/// A claim made before the queue was set back may be run so long after it: a lease, and a renewal's
/// answer.
constexpr double kOldClaims = 7;
/// Clocks of two kinds are compared.
constexpr double kClocks = 0.01;

bool killed(const std::string& cause) {
  static const std::set<std::string> kKilled = {"consumer_crash", "consumer_deadline", "signal",
                                                "out_of_memory",  "timeout",           "shutdown"};
  return kKilled.contains(cause);
}

std::string name(const LedgerRun& run) {
  std::ostringstream text;
  text << "message " << run.id << ", fence " << run.fence << ", fleet " << run.fleet << ", begun "
       << std::fixed << run.begun;
  if (run.ended > 0) text << (run.done ? ", done " : ", failed ") << run.ended;
  return text.str();
}

/// A run between the one before and the one after it, of the same message.
class RunAudit {
 public:
  RunAudit(const Books& books, const MessageEnd& end, const LedgerRun& run, const LedgerRun* next)
      : end_(end), run_(run) {
    const double next_begun = next != nullptr ? next->begun : end.at;
    double over = run.ended > 0 ? run.ended + kUntold : run.begun + books.longest_run;
    if (next_begun > 0) over = std::min(over, next_begun);
    for (const Incident& incident : books.incidents) {
      const bool its = (incident.fleet.empty() || incident.fleet == run.fleet) &&
                       (incident.ids.empty() || incident.ids.contains(run.id));
      if (!its || incident.from > over || incident.until < run.begun) continue;
      if (incident_ == nullptr || closer(incident, *incident_)) incident_ = &incident;
    }
    overlaps_ = next != nullptr && run.ended > next->begun;
    for (const auto& vain : end.history) {
      if (vain.fence == run.fence) vain_ = &vain;
    }
  }

  /// Why it was not the last; "" when nothing explains that.
  std::string reason() const {
    if (vain_ != nullptr) return "in the message's history";
    if (end_.history.size() >= kHistory && run_.fence < end_.history.front().fence) {
      return "older than the history keeps";
    }
    return incident_ != nullptr ? incident_->what : "";
  }

  /// The incident that alone explains it; null: something better does.
  const Incident* excuse() const {
    const std::string why = reason();
    return incident_ != nullptr && why == incident_->what ? incident_ : nullptr;
  }

  /// "" when there is nothing wrong with it.
  std::string problem() const {
    if (overlaps_ && incident_ == nullptr) return "two at once";
    // Only a process that died, or was ended, may have a failed run and a done one.
    if (run_.done && vain_ != nullptr && !killed(vain_->cause)) {
      return "done, but told as " + vain_->cause;
    }
    return reason().empty() ? "run again, and nobody knows why" : "";
  }

 private:
  /// Of two that would explain it the one that explains less else.
  static bool closer(const Incident& one, const Incident& other) {
    return std::pair(one.ids.empty(), one.fleet.empty()) <
           std::pair(other.ids.empty(), other.fleet.empty());
  }

  const MessageEnd& end_;
  const LedgerRun& run_;
  const Incident* incident_ = nullptr;
  const MessageEnd::Vain* vain_ = nullptr;
  bool overlaps_ = false;
};

/// What handlers and faults do; none breaks its handler's contract, or its own limits.
const std::set<std::string> kKnown = {"consumer_crash", "consumer_deadline", "signal",
                                      "timeout",        "shutdown",          "exit_code",
                                      "retry",          "unreadable"};

/// `runs`: of one message, by their fences.
void audit_runs(const Books& books, const MessageEnd& end, const std::vector<LedgerRun>& runs,
                std::map<const Incident*, std::int64_t>& cost, Verdict& verdict) {
  const auto problem = [&](const std::string& what, const LedgerRun& run) {
    verdict.problems.push_back(what + ": " + name(run));
  };
  const bool is_done = end.where == MessageEnd::Where::done;
  bool finished = false;
  std::set<std::int64_t> begun;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const LedgerRun& run = runs[i];
    if (!begun.insert(run.fence).second) problem("run twice under one claim", run);
    if (run.fence > end.claims) problem("run under a claim that the database does not know", run);
    if (is_done && run.fence == end.claims && run.done) {
      finished = true;
      if (end.at > 0 && end.at < run.ended - kClocks) problem("gone before it was done", run);
      continue;
    }
    ++verdict.extra;
    const RunAudit audit(books, end, run, i + 1 < runs.size() ? &runs[i + 1] : nullptr);
    if (const auto what = audit.problem(); !what.empty()) {
      problem(what, run);
    } else {
      ++verdict.explained[audit.reason()];
      if (const Incident* incident = audit.excuse()) ++cost[incident];
    }
  }
  if (is_done && !finished) {
    verdict.problems.push_back("gone as done, but no handler says so: message " +
                               std::to_string(end.id) + ", fence " + std::to_string(end.claims));
  }
  for (const auto& vain : end.history) {
    verdict.unbegun += !begun.contains(vain.fence) && vain.cause != "unreadable";
    ++verdict.causes[vain.cause];
    if (vain.cause == "unreadable" && !end.poison) {
      verdict.problems.push_back("a payload without damage was not read: message " +
                                 std::to_string(end.id));
    }
    if (!kKnown.contains(vain.cause)) {
      verdict.problems.push_back("nobody did that, told as " + vain.cause + ": message " +
                                 std::to_string(end.id));
    }
  }
}

/// By SIGTERM, SIGINT or SIGHUP, which is no crash, wherever it came from.
bool was_asked(const MessageEnd::Vain& run) {
  return run.cause == "signal" &&
         (run.signal == "SIGTERM" || run.signal == "SIGINT" || run.signal == "SIGHUP");
}

/// A crash needs a process that died, and a stop that reaches handlers too costs nothing.
void audit_charges(const Books& books, const MessageEnd& end, const std::vector<LedgerRun>& runs,
                   Verdict& verdict) {
  static const std::set<std::string> kCrashes = {"signal", "out_of_memory", "consumer_crash",
                                                 "consumer_deadline", "unreadable"};
  const auto crashed = std::count_if(end.history.begin(), end.history.end(), [](const auto& run) {
    return kCrashes.contains(run.cause) && !was_asked(run);
  });
  if (end.history.size() < kHistory && end.crashes > crashed) {
    verdict.problems.push_back("charged with " + std::to_string(end.crashes) +
                               " crashes, of which " + std::to_string(crashed) +
                               " happened: message " + std::to_string(end.id));
  }
  for (const auto& vain : end.history) {
    if (!was_asked(vain)) continue;
    for (const LedgerRun& run : runs) {
      const bool told = std::any_of(books.told.begin(), books.told.end(), [&](const Blow& blow) {
        return blow.fleet == run.fleet && blow.from <= run.begun + books.longest_run &&
               blow.until >= run.begun;
      });
      if (run.fence != vain.fence || told) continue;
      verdict.problems.push_back("a shutdown has cost an attempt: " + name(run));
    }
  }
}

void count(const MessageEnd& end, Verdict& verdict) {
  const std::string message = "message " + std::to_string(end.id);
  switch (end.where) {
    case MessageEnd::Where::done:
      ++verdict.done;
      if (end.poison) verdict.problems.push_back("what can only crash is done: " + message);
      break;
    case MessageEnd::Where::dead:
      ++verdict.dead;
      if (!end.poison) {
        verdict.problems.push_back("a good message is a dead letter: " + message);
      } else if (end.reason != "max_crashes") {
        verdict.problems.push_back("what crashed died of " + end.reason + ": " + message);
      }
      break;
    case MessageEnd::Where::left:
      ++verdict.left;
      verdict.problems.push_back("still in the queue: " + message);
      break;
  }
}

/// Takes out what `end`'s message ran before it was set back to an earlier state, or under a claim
/// made before, but for the run that may have settled it all the same.
void take_out_earlier_life(const Books& books, const MessageEnd& end, std::vector<LedgerRun>& runs,
                           Verdict& verdict) {
  double until = 0;
  for (const Restore& restore : books.restores) {
    if (restore.back.contains(end.id)) until = restore.at + kOldClaims;
  }
  if (until == 0) return;
  const auto last = std::find_if(runs.rbegin(), runs.rend(), [&](const LedgerRun& run) {
    return run.done && run.fence == end.claims && end.where == MessageEnd::Where::done;
  });
  std::vector<LedgerRun> later;
  for (auto run = runs.begin(); run != runs.end(); ++run) {
    if (run->begun >= until || (last != runs.rend() && run == std::prev(last.base()))) {
      later.push_back(*run);
      continue;
    }
    ++verdict.extra;
    ++verdict.explained["before a dump was restored"];
  }
  runs = std::move(later);
}

/// Handlers remember what they have done by such a key.
void audit_keys(const Books& books, Verdict& verdict) {
  std::map<std::string, std::int64_t> owners;
  std::map<std::int64_t, std::string> keys;
  for (const LedgerRun& run : books.runs) {
    if (run.key.empty()) continue;
    if (owners.emplace(run.key, run.id).first->second != run.id) {
      verdict.problems.push_back("another message's key comes again: " + run.key + ": " +
                                 name(run));
    }
    if (keys.emplace(run.id, run.key).first->second != run.key) {
      verdict.problems.push_back("a message's key has changed: " + run.key + ": " + name(run));
    }
  }
}

bool lost_with_a_restore(const Books& books, std::int64_t id) {
  return std::any_of(books.restores.begin(), books.restores.end(),
                     [&](const Restore& restore) { return restore.lost.contains(id); });
}

}  // namespace

Verdict audit(const Books& books) {
  Verdict verdict;
  verdict.sent = static_cast<std::int64_t>(books.sent.size());
  verdict.runs = static_cast<std::int64_t>(books.runs.size());
  std::map<std::int64_t, std::vector<LedgerRun>> runs;
  for (const LedgerRun& run : books.runs) runs[run.id].push_back(run);
  for (auto& [id, all] : runs) {
    std::stable_sort(all.begin(), all.end(),
                     [](const LedgerRun& a, const LedgerRun& b) { return a.fence < b.fence; });
  }
  std::map<const Incident*, std::int64_t> cost;
  std::set<std::int64_t> ended;
  for (const MessageEnd& end : books.ends) {
    if (!ended.insert(end.id).second) {
      verdict.problems.push_back("left the queue twice: message " + std::to_string(end.id));
      continue;
    }
    if (!books.sent.contains(end.id)) ++verdict.unacknowledged;
    count(end, verdict);
    take_out_earlier_life(books, end, runs[end.id], verdict);
    audit_runs(books, end, runs[end.id], cost, verdict);
    audit_charges(books, end, runs[end.id], verdict);
  }
  for (const std::int64_t id : books.sent) {
    if (ended.contains(id)) continue;
    if (lost_with_a_restore(books, id)) {
      ++verdict.after_the_dump;
    } else {
      verdict.problems.push_back("lost: message " + std::to_string(id) +
                                 " was acknowledged and is nowhere");
    }
  }
  for (const auto& [id, all] : runs) {
    if (!ended.contains(id) && !lost_with_a_restore(books, id)) {
      verdict.problems.push_back("run, but the database never had it: message " +
                                 std::to_string(id));
    }
  }
  for (const auto& [incident, runs_lost] : cost) {
    const double leases = 1 + (incident->until - incident->from) / kLease;
    const double most = incident->fleet.empty() ? kHeldMost : kHeldByOne;
    if (static_cast<double>(runs_lost) > most * leases) {
      verdict.problems.push_back("too much for one incident: " + std::to_string(runs_lost) +
                                 " runs in vain, " + incident->what);
    }
  }
  audit_keys(books, verdict);
  std::int64_t workers = 0;
  for (const Blow& blow : books.blows) workers += blow.workers;
  const std::int64_t consumers =
      verdict.causes["consumer_crash"] + verdict.causes["consumer_deadline"];
  if (consumers > workers) {
    verdict.problems.push_back(std::to_string(consumers) + " consumers died at work, " +
                               std::to_string(workers) + " workers were hit");
  }
  // Each is a process that was killed between its fork and its first act.
  if (verdict.unbegun > verdict.extra / 2 + 20) {
    verdict.problems.push_back(std::to_string(verdict.unbegun) +
                               " runs stand in histories that never began");
  }
  return verdict;
}

std::string Verdict::text() const {
  std::ostringstream out;
  out << sent << " messages acknowledged to senders";
  if (unacknowledged > 0) out << ", and " << unacknowledged << " that were committed unheard";
  if (after_the_dump > 0) out << ", " << after_the_dump << " lost as they were not in a dump";
  out << ": " << done << " done, " << dead << " dead letters, " << left << " left; " << runs
      << " runs, " << extra << " of them in vain";
  for (const auto& [why, times] : explained) out << "\n  " << times << " x " << why;
  out << "\nin histories:";
  for (const auto& [cause, times] : causes) {
    if (times > 0) out << " " << times << " x " << cause;
  }
  if (unbegun > 0) out << "\n(" << unbegun << " more were killed before their first act)";
  if (problems.empty()) {
    out << "\nNothing is lost, and every run in vain is explained.";
  } else {
    out << "\n" << problems.size() << " problems:";
    for (std::size_t i = 0; i < problems.size() && i < 50; ++i) out << "\n  " << problems[i];
  }
  return out.str();
}

}  // namespace pgforeman::test
