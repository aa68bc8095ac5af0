#include "supervisor/supervisor.h"

#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <system_error>
#include <utility>

#include "supervisor/endpoint.h"
#include "supervisor/start_log.h"
#include "system/fork.h"
#include "system/origin.h"

namespace pgforeman {
namespace {

// What the supervisor reads from its signalfd; all the rest stays blocked and is ignored.
constexpr std::initializer_list<int> kSignals = {SIGTERM, SIGINT,  SIGQUIT, SIGHUP,
                                                 SIGCHLD, SIGTTIN, SIGTTOU};
// Children read some of these from a signalfd of their own. TERM, INT, HUP and QUIT do not end a
// child: they only show that its handler got them too.
constexpr std::array<int, 9> kBlockedInChildren = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD, SIGTTIN, SIGTTOU, kDrainSignal, kHurrySignal};

// A killed process may hang in a system call; after this long its message runs again all the same.
constexpr Millis kOrphanPatience{5000};
// Half of the ledgers that are left when every slot has one.
constexpr std::size_t kMostLateLedgers = (kLedgers - kMaxConsumers) / 2;

std::uint64_t random_id() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

UniqueFd make_eventfd() {
  UniqueFd fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fd) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

const char* role_of(int slot) {
  return slot == kMaintenanceSlot ? "maintenance" : "consumer";
}

struct ForkArguments {
  ChildContext context;
  ChildEntryPoints::Main main;
};

void child_main(void* arguments) noexcept {
  const auto* fork = static_cast<const ForkArguments*>(arguments);
  fork->main(fork->context);
}

}  // namespace

Supervisor::Supervisor(Options options, ChildEntryPoints mains)
    : options_(std::move(options)),
      mains_(std::move(mains)),
      scoreboard_(std::make_unique<Scoreboard>()),
      ledgers_(*scoreboard_),
      maintenance_fd_(make_eventfd()),
      policy_(options_, Clock::now(), std::random_device{}()),
      table_{{}, {}, Clock::now()},
      report_(options_, *scoreboard_, policy_, table_),
      fleet_id_(random_id()),
      io_(1),
      signals_(io_, open_signalfd(kSignals).release()),
      tick_(io_) {
  for (UniqueFd& wakeup_fd : wakeup_fds_) wakeup_fd = make_eventfd();
  set_fleet_mark(fleet_id_);
  begin_program(scoreboard_->handler(), options_);
  endpoint_ = std::make_unique<Endpoint>(io_, options_.health_address,
                                         static_cast<std::uint16_t>(options_.health_port),
                                         [this] { return report_.view(); });
}

Supervisor::~Supervisor() = default;

ExitCode Supervisor::run() {
  log_start(options_, endpoint_->port());
  wait_for_signals();
  step();
  while (!finished_) {
    // The callbacks of signals and timer only set a flag: no fork happens inside a callback.
    io_.run_one();
    if (!std::exchange(due_, false)) continue;
    while (const auto signal = read_signal(signals_.native_handle())) handle_signal(*signal);
    reap();
    step();
  }
  endpoint_.reset();
  log::info("fleet ended");
  if (table_.noop_refused) return ExitCode::config;
  return policy_.gave_up() ? ExitCode::cannot_fork : ExitCode::ok;
}

/// Ends the fleet; the consumer that found older messages has logged it.
void Supervisor::end_refused_noop() {
  const bool refused = options_.handler_mode == HandlerMode::noop &&
                       options_.noop_discards == YesNo::no &&
                       scoreboard_->handler().noop_refused.load() != 0;
  if (!refused || table_.noop_refused) return;
  table_.noop_refused = true;
  policy_.stop(Clock::now());
}

void Supervisor::wait_for_signals() {
  signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        due_ = true;
                        wait_for_signals();
                      });
}

void Supervisor::wait_for_tick() {
  tick_.expires_at(policy_.next_tick(Clock::now()));
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (!error) due_ = true;
  });
}

void Supervisor::handle_signal(int signal) {
  const TimePoint now = Clock::now();
  switch (signal) {
    case SIGTERM:
    case SIGINT:
      if (!policy_.stopping()) {
        log::info("fleet drains", {{"signal", ::sigabbrev_np(signal)},
                                   {"grace_ms", options_.shutdown_grace.count()}});
        const std::string running = report_.running_messages();
        if (signal == SIGINT && !running.empty()) {
          log::info("handlers still run: interrupt again to end them now", {{"messages", running}});
        }
      }
      policy_.stop(now);
      if (signal == SIGINT && ++interrupts_ == 2) {
        log::warn("interrupted twice: handlers are ended now");
        policy_.hurry(now);
      }
      break;
    case SIGQUIT:
      log::warn("QUIT: handlers are ended now");
      policy_.hurry(now);
      break;
    case SIGHUP:
      reload();
      break;
    case SIGTTIN:
      resize(+1);
      break;
    case SIGTTOU:
      resize(-1);
      break;
    default:
      break;  // CHLD: reap() follows in any case
  }
}

void Supervisor::step() {
  oom_.refresh(Clock::now());
  end_refused_noop();
  const auto actions = policy_.tick(Clock::now(), report_.observations(),
                                    ledgers_.any_orphans() || !late_ledgers_.empty());
  if (policy_.stopping()) scoreboard_->fleet().ends_at_ms.store(to_ms(policy_.ends_at()));
  for (const auto& action : actions) apply(action);
  wait_for_tick();
}

void Supervisor::apply(const Action& action) {
  switch (action.kind) {
    case Action::Kind::fork:
      fork_into(action.slot);
      break;
    case Action::Kind::signal:
      signal_child(action);
      break;
    case Action::Kind::give_up:
      log::error(action.why);
      break;
    case Action::Kind::finished:
      finished_ = true;
      break;
  }
}

void Supervisor::fork_into(int slot) {
  Child& child = table_.children[slot];
  const bool maintenance = slot == kMaintenanceSlot;
  if (child.ledger == LedgerId::none && !maintenance) child.ledger = ledgers_.take(slot);
  Slot& shared = scoreboard_->slot(slot);
  const std::uint32_t epoch = child.epoch + 1;
  shared.begin_child(epoch, Clock::now(), options_.boot_timeout);
  WakeupFds wakeup_fds{};
  std::transform(wakeup_fds_.begin(), wakeup_fds_.end(), wakeup_fds.begin(),
                 std::mem_fn(&UniqueFd::get));
  ForkArguments arguments{{.options = &options_,
                           .scoreboard = scoreboard_.get(),
                           .slot = slot,
                           .ledger = child.ledger,
                           .epoch = epoch,
                           .fleet_id = fleet_id_,
                           .wakeup_fds = wakeup_fds,
                           .maintenance_fd = maintenance_fd_.get()},
                          maintenance ? mains_.maintenance : mains_.consumer};
  std::vector<int> keep(wakeup_fds.begin(), wakeup_fds.end());
  keep.insert(keep.end(), {maintenance_fd_.get(), log::descriptor()});
  const pid_t pid = fork_child(child_main, &arguments, keep, kBlockedInChildren);
  if (pid < 0) {
    const int error = errno;
    policy_.on_fork_failed(slot, Clock::now());
    log::error("fork failed, will try again", {{"child", role_of(slot)},
                                               {"child_slot", shown_slot(slot)},
                                               {"error", std::generic_category().message(error)}});
    return;
  }
  child.pid = pid;
  child.epoch = epoch;
  policy_.on_forked(slot, Clock::now());
  log::info("child forked", {{"child", role_of(slot)},
                             {"child_slot", shown_slot(slot)},
                             {"child_pid", pid},
                             {"child_epoch", epoch}});
}

void Supervisor::signal_child(const Action& action) {
  const Child& child = table_.children[action.slot];
  // The pid cannot be reused: only reap() frees it, in this thread.
  if (child.pid > 0) ::kill(child.pid, action.signal);
  if (action.why.empty()) return;
  log::warn("child killed", {{"child", role_of(action.slot)},
                             {"child_slot", shown_slot(action.slot)},
                             {"child_pid", child.pid},
                             {"child_epoch", child.epoch},
                             {"why", action.why}});
}

int Supervisor::slot_of(pid_t pid) const {
  for (const auto& [slot, child] : table_.children) {
    if (child.pid == pid) return slot;
  }
  return -1;
}

void Supervisor::reap() {
  std::vector<std::pair<int, ChildExit>> ended;
  std::vector<pid_t> sessions;           // of ended children; each led one
  std::vector<ChildExit> from_handlers;  // of dead consumers' handlers, and their descendants
  const auto take = [&](const ChildExit& exit) {
    orphans_.reaped(exit.pid);
    const int slot = slot_of(exit.pid);
    if (slot < 0) return from_handlers.push_back(exit);
    ended.emplace_back(slot, exit);
    sessions.push_back(exit.pid);
    table_.children[slot].pid = 0;
  };
  while (const auto exit = reap_one()) take(*exit);
  for (const LateLedger& late : late_ledgers_) sessions.push_back(late.consumer);
  if (ended.empty() && late_ledgers_.empty()) return;
  // A dead consumer's processes become our children. They must be gone before its message runs
  // again.
  std::size_t handled = 0;
  do {
    const std::size_t known = ended.size();
    const CleanUp clean_up = orphans_.end([this](pid_t pid) { return slot_of(pid) >= 0; }, sessions,
                                          handled < known ? kCleanUpPatience : Millis{0});
    for (const auto& exit : clean_up.exits) take(exit);
    for (; handled < known; ++handled) {
      on_exit(ended[handled].first, ended[handled].second, from_handlers);
    }
    hand_over_ledgers(!clean_up.left && !clean_up.refused);
  } while (handled < ended.size());  // the clean-up has reaped more of our children
}

void Supervisor::on_exit(int slot, ChildExit exit, std::span<const ChildExit> from_handlers) {
  Child& child = table_.children[slot];
  exit.out_of_memory = exit.signal == SIGKILL && oom_.explains_kill();
  const TimePoint now = Clock::now();
  const ExitVerdict verdict = policy_.on_exit(slot, exit, report_.observation(slot, child), now);
  const std::string cause{to_string(verdict.cause)};
  table_.exits_by_cause[cause]++;  // proves: P14
  child.exits++;
  child.last_exit = LastExit{cause, verdict.explain, 0};
  child.exited_at = now;
  const bool expected = verdict.cause == ExitCause::drained || verdict.cause == ExitCause::recycled;
  log::write(expected ? log::Level::info : log::Level::warn, "child ended",
             {{"child", role_of(slot)},
              {"child_slot", shown_slot(slot)},
              {"child_pid", exit.pid},
              {"child_epoch", child.epoch},
              {"cause", cause},
              {"explain", verdict.explain},
              {"peak_rss_kib", exit.peak_rss_kib},
              {"restart_in_ms", verdict.restart_in ? verdict.restart_in->count() : -1}});
  if (verdict.new_crash_loop) {
    log::error(
        "slot is crash-looping",
        {{"child", role_of(slot)}, {"child_slot", shown_slot(slot)}, {"explain", verdict.explain}});
  }
  sign_off_ledger(child, exit, verdict, from_handlers);
  scoreboard_->slot(slot).end_child(now, verdict.cause == ExitCause::recycled);
}

void Supervisor::sign_off_ledger(Child& child, const ChildExit& exit, const ExitVerdict& verdict,
                                 std::span<const ChildExit> from_handlers) {
  if (child.ledger == LedgerId::none) return;
  const Ledger& ledger = scoreboard_->ledger(child.ledger);
  if (read_ledger(ledger).empty()) {  // proves: P20
    ledgers_.give_back(child.ledger);
  } else {
    Death death{verdict.blame, exit.signal == 0 ? exit.exit_code : -1, exit.signal, 0,
                "consumer " + verdict.explain};
    const auto handler = std::find_if(
        from_handlers.begin(), from_handlers.end(),
        [&](const ChildExit& other) { return other.pid == ledger.handler_pid.load(); });
    if (handler != from_handlers.end()) death.handler_peak_rss_kib = handler->peak_rss_kib;
    late_ledgers_.push_back({child.ledger, death, exit.pid, Clock::now() + kOrphanPatience});
  }
  child.ledger = LedgerId::none;
}

/// Hands dead consumers' ledgers to maintenance once their handlers' processes are gone, so that no
/// two runs of a message overlap. After kOrphanPatience it no longer waits for them.
void Supervisor::hand_over_ledgers(bool gone) {
  const TimePoint now = Clock::now();
  std::erase_if(late_ledgers_, [&](const LateLedger& late) {
    if (!gone && now < late.until && late_ledgers_.size() < kMostLateLedgers) return false;
    if (!gone) log::warn("handler does not end, two runs of its message may overlap");
    ledgers_.orphan(late.ledger, late.death);
    ::eventfd_write(maintenance_fd_.get(), 1);  // proves: P2
    return true;
  });
}

void Supervisor::resize(int by) {
  if (policy_.stopping()) return;
  const int before = policy_.concurrency();
  const int after = policy_.resize(before + by, Clock::now());
  log::info(before == after ? "concurrency is at its limit" : "concurrency changed",
            {{"from", before}, {"to", after}});
}

void Supervisor::reload() {
  if (policy_.stopping()) return;
  LoadResult loaded = mains_.reload();
  if (loaded.options.handler_mode == HandlerMode::noop &&
      options_.handler_mode != HandlerMode::noop && loaded.options.noop_discards == YesNo::no) {
    loaded.errors.emplace_back(
        "HANDLER_MODE=noop would delete this fleet's messages unread; NOOP_DISCARDS=yes allows it");
  }
  if (!loaded.errors.empty()) {
    for (const auto& error : loaded.errors) log::error("not reloaded", {{"error", error}});
    return;
  }
  std::vector<std::string> needs_restart;
  const auto changed = changed_options(options_, loaded.options, &needs_restart);
  for (const auto& name : needs_restart) {
    log::warn("not changed: this option needs a restart", {{"option", name}});
  }
  loaded.options.queue = options_.queue;
  loaded.options.health_address = options_.health_address;
  loaded.options.health_port = options_.health_port;
  // Replaces children even if no option changed: the URL's file or the handler may have new content
  // under the same name.
  std::string names;
  for (const auto& name : changed) {
    const bool not_now =
        std::find(needs_restart.begin(), needs_restart.end(), name) != needs_restart.end();
    if (!not_now) names += (names.empty() ? "" : " ") + name;
  }
  log::info("options read again, children are replaced one by one", {{"changed", names}});
  options_ = std::move(loaded.options);
  log::set_level(options_.log_level, options_.log_format);
  begin_program(scoreboard_->handler(), options_);
  policy_.replace_all(options_, Clock::now());
}

}  // namespace pgforeman
