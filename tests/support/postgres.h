#pragma once
// A private PostgreSQL server for tests: in a temporary folder, on a unix socket there and on a
// free loopback port. It ends with this object, or with this process. Class Sql queries it without
// database headers.
//
// If the test runs as root, the server runs as another user, since PostgreSQL refuses root.

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pgforeman::test {

using Row = std::vector<std::string>;  // NULL is "NULL"

/// One session, for tests to read and change the database. Throws std::runtime_error with the
/// server's text.
class Sql {
 public:
  explicit Sql(const std::string& conninfo);
  ~Sql();
  Sql(const Sql&) = delete;
  Sql& operator=(const Sql&) = delete;

  /// Returns the first column of the first row of the last statement; "" if there is none.
  std::string query(const std::string& sql);
  std::int64_t number(const std::string& sql);
  std::vector<Row> rows(const std::string& sql);

 private:
  void* connection_;  // PGconn
};

class ThrowawayPostgres {
 public:
  /// Creates the server's files and starts it; `settings` are further lines of postgresql.conf.
  /// Throws std::runtime_error with the server's log if it does not start.
  explicit ThrowawayPostgres(const std::string& settings = "");
  ~ThrowawayPostgres();
  ThrowawayPostgres(const ThrowawayPostgres&) = delete;
  ThrowawayPostgres& operator=(const ThrowawayPostgres&) = delete;

  /// Returns a streaming standby that has caught up with `primary`. The standby is read-only until
  /// promote().
  static std::unique_ptr<ThrowawayPostgres> standby_of(const ThrowawayPostgres& primary);
  void promote();  ///< returns when the server accepts writes

  /// Return the address for superuser "postgres", without password: by unix socket, or by TCP.
  std::string conninfo(const std::string& database = "postgres") const;
  std::string tcp_url(const std::string& database = "postgres") const;
  int port() const { return port_; }
  const std::string& folder() const { return folder_; }

  /// Creates a database and returns its conninfo; `name` must be new on this server.
  std::string create_database(const std::string& name, const std::string& like = "template1");

  /// Runs one of PostgreSQL's programs (psql, pg_dump) as the server's user, so it may write in the
  /// server's folder. Returns its output. Throws std::runtime_error with the output if it fails.
  std::string run_program(const std::vector<std::string>& words) const;

  void start();             ///< returns when the server accepts connections
  void stop_fast();         ///< like `pg_ctl stop -m fast`: sessions are ended
  void stop_immediately();  ///< like `-m immediate`: the next start does crash recovery
  void kill9();             ///< SIGKILL to all server processes; waits for their end
  void pause();             ///< SIGSTOP to all server processes
  void resume();
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }

  /// Returns a server for all tests of this process, started on first use, stopped at exit.
  static ThrowawayPostgres& shared();

 private:
  struct Empty {};
  explicit ThrowawayPostgres(Empty empty);
  void remove_segment() const;
  void write_config(const std::string& settings);
  void wait_until_it_answers();
  void stop_by(int signal, const char* what);
  void wait_for_end(pid_t pid, const char* what);
  std::string log_tail() const;

  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

/// Polls until `condition` is true; false if that takes longer than `limit`.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds limit = std::chrono::seconds(10));

}  // namespace pgforeman::test
