#pragma once
// A PostgreSQL session; a watchdog ends each blocking call in time. Fork: after. Single-threaded; a
// process watches one Connection at a time. Hides libpqxx (6.4 and 7.10) from all other code.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "queue/database_error.h"
#include "system/clock.h"

namespace pqxx {
class result;
}

namespace pgforeman {

/// The server and database that a session has reached, of all it could have. No secrets.
struct ReachedDatabase {
  std::string host;  ///< name, address or the folder of a unix socket
  std::string port, database, user;
  std::string address;  ///< of the host; empty for a unix socket
};

struct ConnectionSettings {
  std::string conninfo;          ///< libpq URL or keyword string; empty: libpq's PG* variables
  std::string application_name;  ///< at most 63 bytes; seen in pg_stat_activity
  Millis connect_timeout{5000};
  Millis statement_timeout{10000};
  /// Limit of the silence in a call: then its socket is shut down and it throws; 0: none.
  Millis watchdog{12000};
  /// Called from a signal handler while a call takes longer than that, but bytes still arrive.
  void (*on_progress)(void* context) = nullptr;
  void* progress_context = nullptr;
  /// Connects to this server alone, without looking up its name.
  std::optional<ReachedDatabase> only_to{};
};

class Connection {
 public:
  /// Opens the session; blocks for at most connect_timeout a host. Throws DatabaseError.
  explicit Connection(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  ReachedDatabase reached() const;
  /// Changes the limit of the silence in later calls.
  void set_watchdog(Millis limit);
  /// The server's process; 0 through a pooler that swaps sessions.
  int server_pid() const;
  /// Cancels what these processes of the server do, if they are this role's with this application
  /// name: sessions that were left in the middle of a call. Returns those that are still there. A
  /// process 0 (see server_pid()) stands for all that have been busy for longer than a call may
  /// take.
  std::vector<int> cancel(const std::vector<int>& pids, const std::string& application_name);

  class Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgforeman
