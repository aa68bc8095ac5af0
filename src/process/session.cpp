#include "process/session.h"

#include <algorithm>

#include "system/backoff.h"
#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kFirstRetry{50};
// How often a child that backs off checks whether maintenance has reached the database again.
constexpr Millis kDatabaseCheck{100};
constexpr std::size_t kMostLeftBehind = 2;
// Maintenance asks at least every 1.2 s.
constexpr Millis kLately{2000};

}  // namespace

Session::Session(const ChildContext& context, ChildLoop& loop, std::string application_name,
                 Millis retry_cap)
    : context_(context),
      loop_(loop),
      application_name_(std::move(application_name)),
      retry_cap_(retry_cap) {}

bool Session::connect() {
  while (!loop_.check_signals()) {
    loop_.enter(Phase::connecting);
    if (try_connect()) return true;
    wait_before_retry();
  }
  return false;
}

bool Session::reconnect_while_running() {
  if (connected()) return true;
  const auto answered_at = context_.scoreboard->fleet().answered_at_ms.load();
  const auto now = to_ms(Clock::now());
  if (answered_at <= now - kLately.count() || answered_at > now) return false;
  if (!last_reached_) return false;
  loop_.enter(Phase::running);
  return try_connect(kWatchdogWhileRunning, last_reached_);
}

void Session::set_running(bool runs) {
  // proves: P19
  if (connection_) connection_->set_watchdog(runs ? kWatchdogWhileRunning : kDatabaseWatchdog);
}

bool Session::try_connect(Millis watchdog, const std::optional<ReachedDatabase>& only_to) {
  close();
  try {
    ConnectionSettings settings;
    settings.conninfo = resolve_conninfo(*context_.options);
    settings.application_name = application_name_;  // proves: P33
    settings.watchdog = watchdog;  // also limits the time to connect, to 2 s at least
    settings.on_progress = [](void* loop) { static_cast<ChildLoop*>(loop)->renew_phase(); };
    settings.progress_context = &loop_;
    settings.only_to = only_to;
    connection_ = std::make_unique<Connection>(settings);
    queue_.emplace(*connection_, context_.options->queue);
    end_left_behind();  // proves: P35
    queue_->check_schema();
  } catch (const std::runtime_error& error) {  // DatabaseError, or an unreadable *_FILE
    close();
    ++failures_;
    report(error.what());
    return false;
  }
  log::debug("database session opened");
  last_reached_ = connection_->reached();
  if (context_.scoreboard->fleet().reached.exchange(1) == 0) {  // once a fleet
    const ReachedDatabase& at = *last_reached_;
    log::info("database reached",
              {{"host", at.host}, {"port", at.port}, {"database", at.database}, {"user", at.user}});
  }
  return true;
}

void Session::worked() {
  // Only now: a session that connects but cannot claim is not ready.
  worked_at_ = Clock::now();
  ++answers_;
  if (context_.slot == kMaintenanceSlot) {
    context_.scoreboard->fleet().answered_at_ms.store(to_ms(*worked_at_));
  }
  loop_.slot().set_connected(true);
  failures_ = 0;
  if (!down_since_) return;
  const auto outage = Clock::now() - *down_since_;
  down_since_.reset();
  log::info("database session works again",
            {{"after_seconds", std::chrono::duration<double>(outage).count()}});
}

void Session::failed(const DatabaseError& error) {
  ++failures_;
  report(error.what());
  set_broken();  // until a call works again
  const bool answered = error.may_work_later() || error.kind() == DatabaseError::Kind::rejected;
  if (!answered) close_after_failure();  // proves: P30
  loop_.enter(Phase::connecting);
  wait_before_retry();
}

void Session::drop(const DatabaseError& error) {
  ++failures_;
  report(error.what());
  close_after_failure();
}

/// The server may not notice that the client has left while a call hangs in it, as a commit does
/// that waits for a standby: the next session ends that.
void Session::close_after_failure() {
  if (connection_) left_behind_.push_back(connection_->server_pid());
  close();
}

/// Throws DatabaseError if sessions of before stay in the server: more must not join them.
void Session::end_left_behind() {
  if (left_behind_.empty()) return;
  try {
    left_behind_ = connection_->cancel(left_behind_, application_name_);
  } catch (const DatabaseError& error) {
    if (error.kind() == DatabaseError::Kind::connection) throw;
    left_behind_.clear();  // a role that may not cancel
  }
  if (left_behind_.size() < kMostLeftBehind) return;
  throw DatabaseError(DatabaseError::Kind::connection,
                      std::to_string(left_behind_.size()) +
                          " sessions of before hang in the server, which does not end them");
}

void Session::wait_before_retry() {
  const auto& up = context_.scoreboard->fleet().database_up;
  const auto before = up.load();
  const TimePoint until =
      Clock::now() + backoff_delay(failures_ - 1, kFirstRetry, retry_cap_, loop_.random());
  while (Clock::now() < until && up.load() == before && !loop_.draining()) {
    const auto left = std::chrono::duration_cast<Millis>(until - Clock::now());
    // The jitter keeps a fleet from coming back in the same instant.
    const double check = static_cast<double>(kDatabaseCheck.count()) * (0.5 + loop_.random());
    loop_.pause(std::clamp(left, Millis{1}, Millis{static_cast<Millis::rep>(check)}));
  }
}

void Session::report(const std::string& reason) {
  const TimePoint now = Clock::now();
  if (!down_since_) down_since_ = now;
  // A whole fleet loses its database at once: one line a minute for each reason is enough.
  const bool news = context_.scoreboard->fleet().should_log(reason, now);
  log::write(news ? log::Level::warn : log::Level::debug,
             "database session failed, will keep trying", {{"reason", reason}});
}

void Session::close() {
  queue_.reset();
  connection_.reset();
  set_broken();
}

void Session::set_broken() {
  worked_at_.reset();
  loop_.slot().set_connected(false);
}

}  // namespace pgforeman
