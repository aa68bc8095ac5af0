#pragma once
// One PostgreSQL session, with every blocking call under a watchdog. Fork: after. Single-threaded;
// one Connection a process at a time is watched. Hides libpqxx (6.4 and 7.10) from all other code.

#include <memory>
#include <string>

#include "queue/database_error.h"
#include "system/clock.h"

namespace pqxx {
class result;
}

namespace pgforeman {

struct ConnectionSettings {
  std::string conninfo;          ///< libpq URL or keyword string; empty: libpq's PG* variables
  std::string application_name;  ///< at most 63 bytes; seen in pg_stat_activity
  Millis connect_timeout{5000};
  Millis statement_timeout{10000};
  Millis watchdog{12000};  ///< a call still unanswered then loses its socket and throws
};

/// Where a session ended up, of all the hosts and defaults it could have had. No secrets.
struct ReachedDatabase {
  std::string host;  ///< or the folder of a unix socket
  std::string port, database, user;
};

class Connection {
 public:
  /// Opens the session; blocks for at most connect_timeout a host. Throws DatabaseError.
  explicit Connection(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  ReachedDatabase reached() const;

  class Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgforeman
