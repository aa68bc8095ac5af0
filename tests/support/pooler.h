#pragma once
// A private PgBouncer in front of a throw-away server; gone with this object,
// or with this process.

#include "support/postgres.h"

namespace pgforeman::test {

class Pooler {
 public:
  /// A role that it lets in besides "postgres", if the server has it.
  static constexpr const char* kOtherUser = "worker";

  /// `mode`: PgBouncer's pool_mode. Throws std::runtime_error with its log when it does not come
  /// up.
  explicit Pooler(const ThrowawayPostgres& server, const std::string& mode = "transaction");
  ~Pooler();
  Pooler(const Pooler&) = delete;
  Pooler& operator=(const Pooler&) = delete;

  int port() const { return port_; }
  std::string conninfo(const std::string& database) const;
  /// SIGKILL, and another one on the same port.
  void restart();

 private:
  void start();
  void stop();

  std::string folder_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace pgforeman::test
