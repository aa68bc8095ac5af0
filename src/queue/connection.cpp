#include "queue/connection.h"

#include <netdb.h>
#include <sys/socket.h>

#include <new>
#include <pqxx/except>

#include "queue/connection_impl.h"
#include "queue/conninfo.h"
#include "queue/error_kind.h"
#include "queue/pqxx_compat.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;

constexpr const char* kLost = "the database connection was lost";
constexpr const char* kClosed = "the database connection is closed";

/// Arms the watchdog for one call; the destructor disarms it.
class Watch {
 public:
  Watch(Watchdog& dog, int fd, Millis limit) : dog_(dog) { dog_.arm(fd, limit); }
  ~Watch() { dog_.disarm(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  Watchdog& dog_;
};

/// Returns the address of the socket's other end; empty for a unix socket.
std::string numeric_address(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char text[NI_MAXHOST] = "";
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      (address.ss_family != AF_INET && address.ss_family != AF_INET6)) {
    return {};
  }
  ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, text, sizeof text, nullptr, 0,
                NI_NUMERICHOST);
  return text;
}

/// A prepared statement may be outdated, for example after a migration; it was not executed. (A
/// statement that the server does not support also ends here: unprepared, its error says so.)
struct StalePlan {};

}  // namespace

Connection::Connection(const ConnectionSettings& settings)
    : impl_(std::make_unique<Impl>(settings)) {}
Connection::~Connection() = default;

ReachedDatabase Connection::reached() const {
  return impl_->reached();
}

void Connection::set_watchdog(Millis limit) {
  impl_->set_watchdog(limit);
}

int Connection::server_pid() const {
  return impl_->server_pid();
}

std::vector<int> Connection::cancel(const std::vector<int>& pids,
                                    const std::string& application_name) {
  const std::vector<std::int64_t> wanted(pids.begin(), pids.end());
  const pqxx::result rows = impl_->exec(
      "select pid, pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity"
      " where (pid operator(pg_catalog.=) any ($1::int[])"
      "  or 0 operator(pg_catalog.=) any ($1::int[])"
      "  and state operator(pg_catalog.=) 'active'::pg_catalog.text"
      "  and query_start operator(pg_catalog.<)"
      "   (pg_catalog.now() operator(pg_catalog.-) interval '11 seconds'))"
      " and application_name operator(pg_catalog.=) $2::text"
      " and usename operator(pg_catalog.=) current_user",
      {array_text(wanted), application_name});
  std::vector<int> left;
  for (const auto& row : rows) left.push_back(row[0].as<int>());
  return left;
}

ReachedDatabase Connection::Impl::reached() const {
  const auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  return {text(session_->hostname()), text(session_->port()), text(session_->dbname()),
          text(session_->username()), numeric_address(session_->sock())};
}

Connection::Impl::Impl(const ConnectionSettings& settings) : limit_(settings.watchdog) {
  const std::string conninfo = complete_conninfo(settings);
  try {
    session_ = std::make_unique<pqxx::connection>(conninfo);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    throw DatabaseError(Kind::connection, one_line(e.what()));
  }
  compat::forbid_silent_reconnect(*session_);
  quiet_ = std::make_unique<compat::QuietNotices>(*session_);
  watchdog_.set_progress(settings.on_progress, settings.progress_context);
  detect_pooler(settings);
}

Connection::Impl::~Impl() {
  // Closing sends a last message to the server: with a full send buffer even that can block.
  const Watch watch(watchdog_, session_->sock(), limit_);
  listener_.reset();
  session_.reset();
}

void Connection::Impl::lost(const std::string& text) {
  lost_ = true;
  throw DatabaseError(Kind::connection, text);
}

/// True if the session still works. For an error that does not say so.
bool Connection::Impl::answers() {
  if (!session_->is_open()) return false;
  try {
    pqxx::nontransaction work(*session_);
    work.exec("select");
    return true;
  } catch (const pqxx::broken_connection&) {
    return false;
  } catch (const pqxx::failure&) {  // also an error of the server, which is an answer
    return session_->is_open();
  }
}

template <typename Call>
auto Connection::Impl::guarded(Call&& call, bool is_prepared) {
  if (lost_) throw DatabaseError(Kind::connection, kClosed);
  const Watch watch(watchdog_, session_->sock(), limit_);
  const auto silent = [&] {
    return "the database did not answer within " + std::to_string(limit_.count()) + " ms";
  };
  try {
    pqxx::nontransaction work(*session_);
    return call(work);
  } catch (const pqxx::broken_connection& e) {
    // libpqxx throws it for each SQLSTATE of class 08. The session still works if a trigger lost a
    // connection of its own.
    if (!watchdog_.fired() && answers()) {
      throw DatabaseError(Kind::transient, to_database_error("08000", e.what()).what());
    }
    lost(watchdog_.fired() ? silent() : kLost);  // libpqxx's text only tells what libpqxx does next
  } catch (const pqxx::in_doubt_error& e) {
    lost(one_line(e.what()));
  } catch (const pqxx::transaction_rollback& e) {
    throw to_database_error("40001", e.what());  // deadlock too; libpqxx 6 keeps no SQLSTATE here
  } catch (const pqxx::sql_error& e) {
    if (watchdog_.fired()) lost(silent());
    const std::string sqlstate = compat::sqlstate_of(e);
    const DatabaseError error = to_database_error(sqlstate, e.what());
    // A trigger may raise what a server says that ends a session.
    if (error.kind() == Kind::connection && answers()) {
      throw DatabaseError(Kind::transient, error.what());
    }
    if (error.kind() == Kind::connection || !session_->is_open()) lost(error.what());
    if (is_prepared && (sqlstate == "0A000" || sqlstate == "26000")) throw StalePlan{};
    throw error;
  } catch (const pqxx::failure& e) {
    if (watchdog_.fired()) lost(silent());
    if (!session_->is_open()) lost(kLost);
    throw DatabaseError(Kind::rejected, one_line(e.what()));
  }
}

pqxx::result Connection::Impl::exec(const std::string& sql, const SqlParams& params) {
  if (params.empty()) {
    return guarded([&](pqxx::nontransaction& work) { return work.exec(sql); });
  }
  if (prepares_) {
    try {
      return guarded(
          [&](pqxx::nontransaction& work) {
            return compat::exec_prepared(work, prepared(sql), params);
          },
          true);
    } catch (const StalePlan&) {
      // If it fails again the plan was not the reason: a trigger may raise the same error.
      pqxx::result rows = exec_unprepared(sql, params);
      prepares_ = false;
      return rows;
    }
  }
  return exec_unprepared(sql, params);
}

pqxx::result Connection::Impl::exec_unprepared(const std::string& sql, const SqlParams& params) {
  return guarded(
      [&](pqxx::nontransaction& work) { return compat::exec_params(work, sql, params); });
}

/// Returns the name of the prepared statement; a new one is first prepared (parsed and planned).
const std::string& Connection::Impl::prepared(const std::string& sql) {
  const auto [at, is_new] = prepared_.try_emplace(sql, "p" + std::to_string(prepared_.size()));
  if (!is_new) return at->second;
  try {
    session_->prepare(at->second, sql);
  } catch (...) {
    prepared_.erase(at);
    throw;
  }
  return at->second;
}

pqxx::result Connection::Impl::call(const std::string& sql, const SqlParams& params) {
  if (!wrap_) return exec(sql, params);
  Transaction transaction(*this, "begin isolation level read committed");
  pqxx::result rows = exec(sql, params);
  transaction.commit();
  return rows;
}

Connection::Impl::Transaction::~Transaction() {
  if (committed_ || session_.lost_) return;
  try {
    session_.exec("rollback");
  } catch (const std::exception&) {
    session_.lost_ = true;  // a session in an unknown state cannot be used
  }
}

std::vector<std::string> Connection::Impl::notifications(const std::string& channel) {
  if (lost_) throw DatabaseError(Kind::connection, kClosed);
  const Watch watch(watchdog_, session_->sock(), limit_);
  try {
    if (!listener_) listener_ = std::make_unique<compat::Listener>(*session_, channel);
    return listener_->take();
  } catch (const pqxx::failure& e) {
    lost(one_line(e.what()));
  }
}

// Checks once a session whether a pooler is in between. If the server process is the one that
// greeted us, the session is ours: settings stay for its life. A transaction pooler invents the pid
// of its greeting, and a SET there would stay in another client's session.
//
// search_path: PostgreSQL's own objects must be found before those of another role in `public`.
// Behind a pooler the role's path stays. So our statements name all operators and functions with
// their schema, or with argument types that only pg_catalog's fit exactly.
void Connection::Impl::detect_pooler(const ConnectionSettings& settings) {
  const pqxx::result seen = exec(
      "select direct,"
      " case when direct then pg_catalog.set_config('statement_timeout', $2, false) end,"
      " case when direct then"
      "  pg_catalog.set_config('default_transaction_isolation', 'read committed', false) end,"
      " usual,"
      " case when direct and on_unix then"
      "  pg_catalog.set_config('client_connection_check_interval', '5s', false) end,"
      " case when direct then"
      // proves: P36 path
      "  pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false) end"
      " from (select pg_catalog.pg_backend_pid() operator(pg_catalog.=) $1::int as direct,"
      "  pg_catalog.current_setting('default_transaction_isolation') as usual,"
      "  pg_catalog.current_setting('dynamic_shared_memory_type') operator(pg_catalog.<>)"
      "   'windows'::pg_catalog.text as on_unix offset 0) s",
      {std::to_string(session_->backendpid()), std::to_string(settings.statement_timeout.count())});
  direct_ = seen[0][0].as<bool>();
  if (direct_) server_pid_ = session_->backendpid();
  prepares_ = direct_;
  wrap_ = !direct_ && seen[0][3].as<std::string>() != "read committed";
}

}  // namespace pgforeman
