#include "faults/run.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <limits>
#include <list>
#include <sstream>

#include "faults/load.h"
#include "faults/plan.h"
#include "faults/records.h"
#include "faults/stage.h"

namespace pgforeman::test {
namespace {

constexpr double kLong = 0.7;    // an outage of that many seconds may cost leases
constexpr double kRecovery = 2;  // and that long after it its consequences may show
constexpr double kAgain = 0.5;   // later a fault tries again that found nothing to hit
constexpr double kLonger = 20;   // the run goes on for, if there is one left
constexpr std::chrono::minutes kWorkOff{3}, kUndone{1};
constexpr double kEver = std::numeric_limits<double>::infinity();

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Flat flat_of(pid_t pid, double at) {
  namespace fs = std::filesystem;
  Flat flat;
  flat.at = at;
  const std::string proc = "/proc/" + std::to_string(pid);
  for (const auto& line : read_lines(proc + "/status")) {
    if (line.rfind("VmRSS:", 0) == 0) flat.memory_mib = std::stod(line.substr(6)) / 1024;
  }
  std::error_code none;
  for (fs::directory_iterator fd(proc + "/fd", none), end; fd != end; fd.increment(none)) {
    ++flat.descriptors;
  }
  return flat;
}

class Player {
 public:
  explicit Player(const RunOptions& options)
      : options_(options),
        plan_(make_plan(options.seed, options.seconds, options.faults)),
        stage_(options.pooled),
        watch_(stage_.actors()[0].fleet->port()),
        load_(stage_.database(), options.rate, options.seed),
        begun_(now()) {}

  ~Player() {
    // Else the load may wait for a server that is never woken.
    for (Active& one : active_) undo(one);
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  Report play() {
    try {
      play_plan();
      end_faults();
      balance();
    } catch (const std::exception& error) {
      report_.verdict.problems.push_back(std::string("the run broke off: ") + error.what());
    }
    report_.seconds = at();
    report_.kept = keep();
    return std::move(report_);
  }

 private:
  struct Active {
    const Strike* strike;
    double begun, until;
    Fault::Struck struck;
  };

  double at() const { return now() - begun_; }

  void play_plan() {
    std::size_t next = 0;
    double told = 0;
    // What was in the way of a fault ends soon.
    while (at() < options_.seconds || (!missed_.empty() && at() < options_.seconds + kLonger)) {
      for (; next < plan_.size() && plan_[next].at <= at(); ++next) strike(plan_[next]);
      again();
      undo_until(at());
      if (report_.supervisor.empty() && at() > options_.seconds / 5) sample();
      if (at() >= told + 10) {
        told = at();
        tell(next);
      }
      ::poll(nullptr, 0, 10);
    }
  }

  void end_faults() {
    const bool ended = eventually(
        [&] {
          undo_until(kEver);
          return active_.empty();
        },
        kUndone);
    if (!ended) {
      throw std::runtime_error("not undone in a minute: " + active_.front().strike->fault->text);
    }
  }

  void strike(const Strike& strike) {
    const double begun = at();
    try {
      Dice dice(strike.seed);
      if (auto struck = strike.fault->strike(stage_, dice)) {
        ++report_.struck[strike.fault->name];
        active_.push_back({&strike, begun, begun + strike.lasts, std::move(*struck)});
        return;
      }
    } catch (const std::runtime_error&) {
      // As if there had been nothing to hit; but what it began may have cost something.
      note(*strike.fault, {}, begun);
    }
    missed_.emplace_back(&strike, at() + kAgain);
  }

  /// What found nothing to hit.
  void again() {
    if (missed_.empty() || missed_.front().second > at()) return;
    const Strike& first = *missed_.front().first;
    missed_.pop_front();
    strike(first);
  }

  void undo_until(double moment) {
    for (auto one = active_.begin(); one != active_.end();) {
      if (one->until > moment || !undo(*one)) {
        ++one;
        continue;
      }
      note(*one->strike->fault, one->struck, one->begun);
      one = active_.erase(one);
    }
  }

  /// False: not possible yet, as another fault is in the way.
  bool undo(Active& one) {
    if (!one.struck.undo) return true;
    try {
      one.struck.undo();
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }

  void note(const Fault& fault, const Fault::Struck& struck, double begun) {
    if (fault.workers > 0) {
      blows_.push_back({struck.fleet, begun_ + begun, begun_ + at() + kRecovery, fault.workers});
    }
    if (fault.tells) told_.push_back({struck.fleet, begun_ + begun, begun_ + at() + kRecovery});
    const bool long_enough = at() - begun >= kLong;
    if (fault.leases == Leases::kept || (fault.leases == Leases::lost_if_long && !long_enough)) {
      return;
    }
    incidents_.push_back(
        {struck.fleet, fault.text, begun_ + begun, begun_ + at() + kRecovery, struck.ids});
  }

  void sample() { report_.supervisor.push_back(flat_of(stage_.actors()[0].fleet->pid(), at())); }

  void tell(std::size_t next) const {
    if (!options_.progress) return;
    char line[160];
    std::snprintf(line, sizeof line, "%5.0f of %.0f s: %zu sent, %zu of %zu faults, %zu under way",
                  at(), options_.seconds, load_.sent(), next, plan_.size(), active_.size());
    options_.progress(line);
  }

  void balance() {
    Books books;
    books.sent = load_.finish();
    for (const auto& [strike, when] : missed_) ++report_.missed[strike->fault->name];
    if (options_.progress) options_.progress("working off what is left");
    const bool empty = stage_.wait_until_empty(kWorkOff);
    sample();
    const auto seen = watch_.finish();
    report_.probes = seen.text();
    books.ends = message_ends(stage_.sql());
    const auto problems = stage_.finish();
    books.runs = read_ledger(read_file(stage_.ledger()));
    books.incidents = std::move(incidents_);
    books.blows = std::move(blows_);
    books.told = std::move(told_);
    books.restores = stage_.restores();
    report_.verdict = audit(books);
    auto& all = report_.verdict.problems;
    all.insert(all.end(), problems.begin(), problems.end());
    if (!empty) all.emplace_back("the queue was not worked off in three minutes");
    judge(seen, all);
  }

  void judge(const Watch::Report& seen, std::vector<std::string>& problems) const {
    problems.insert(problems.end(), seen.problems.begin(), seen.problems.end());
    if (seen.livez != std::vector<int>{200}) {
      problems.emplace_back("the watched fleet was not live all the while");
    }
    if (daemon_is_sanitized()) return;
    const Flat &early = report_.supervisor.front(), &late = report_.supervisor.back();
    if (late.memory_mib > early.memory_mib * 1.1 + 1) {
      problems.emplace_back("the supervisor's memory grew");
    }
    if (late.descriptors > early.descriptors + 4) {
      problems.emplace_back("the supervisor's descriptors grew");
    }
  }

  std::string keep() const {
    std::string folder = options_.keep;
    if (folder.empty() && report_.ok()) return "";
    if (folder.empty()) {
      folder = (std::filesystem::temp_directory_path() /
                ("pgforeman-faults-" + std::to_string(options_.seed)))
                   .string();
    }
    stage_.keep_logs(folder);
    return folder;
  }

  const RunOptions& options_;
  std::vector<Strike> plan_;
  Stage stage_;
  Watch watch_;
  Load load_;
  double begun_;
  std::list<Active> active_;
  std::list<std::pair<const Strike*, double>> missed_;  ///< and when to try again
  std::vector<Incident> incidents_;
  std::vector<Blow> blows_, told_;
  Report report_;
};

}  // namespace

Report play(const RunOptions& options) {
  return Player(options).play();
}

std::string Report::text() const {
  std::ostringstream out;
  out << "faults that struck";
  for (const auto& [name, times] : struck) {
    out << "\n  " << times << " x " << fault_named(name).text << " (" << name << ")";
  }
  for (const auto& [name, times] : missed) {
    out << "\n  " << times << " x " << name << " found nothing to hit";
  }
  out << "\n" << verdict.text() << "\n";
  for (const Flat& flat : supervisor) {
    out << "the watched supervisor after " << std::lround(flat.at)
        << " s: " << std::round(flat.memory_mib * 10) / 10 << " MiB, " << flat.descriptors
        << " descriptors\n";
  }
  out << "its endpoint: " << probes << "\n";
  if (!kept.empty()) out << "ledger and logs: " << kept << "\n";
  return out.str();
}

}  // namespace pgforeman::test
