#pragma once
// A private PgBouncer in front of a throw-away server; it ends with this object, or with this
// process.

#include "support/postgres.h"

namespace pgforeman::test {

class Pooler {
 public:
  /// A role that may log in besides "postgres", if it exists on the server.
  static constexpr const char* kOtherUser = "worker";

  /// Starts PgBouncer with `mode` as its pool_mode. Throws std::runtime_error with its log if it
  /// does not start.
  explicit Pooler(const ThrowawayPostgres& server, const std::string& mode = "transaction");
  ~Pooler();
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;

  int port() const { return port_; }
  std::string conninfo(const std::string& database) const;
  /// Kills PgBouncer with SIGKILL and starts a new one on the same port.
  void restart();

 private:
  void start();
  void stop();

  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace pgforeman::test
