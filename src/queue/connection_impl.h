#pragma once
// The implementation of Connection, for this directory only. Only this class calls libpqxx and
// turns its exceptions into DatabaseError.

#include <map>
#include <memory>
#include <pqxx/connection>
#include <pqxx/result>
#include <string>
#include <vector>

#include "queue/connection.h"
#include "queue/pqxx_compat.h"
#include "queue/watchdog.h"

namespace pgforeman {

/// Parameters as text that PostgreSQL reads; sql_text.h makes it for arrays.
using SqlParams = std::vector<std::string>;

class Connection::Impl {
 public:
  explicit Impl(const ConnectionSettings& settings);
  ~Impl();

  /// Runs one statement as one READ COMMITTED transaction.
  pqxx::result call(const std::string& sql, const SqlParams& params = {});

  /// Runs one statement, or several without parameters, in the open transaction if there is one.
  pqxx::result exec(const std::string& sql, const SqlParams& params = {});
  pqxx::result exec_unprepared(const std::string& sql, const SqlParams& params);

  /// True if the server process is still that of the connect: no pooler swaps sessions.
  bool direct() const { return direct_; }
  ReachedDatabase reached() const;
  int socket() const { return session_->sock(); }
  int server_pid() const { return server_pid_; }
  void set_watchdog(Millis limit) { limit_ = limit; }
  /// Returns the payloads from `channel` since the last call, in order. The first call listens.
  std::vector<std::string> notifications(const std::string& channel);

  /// Begins with the statement `begin`; its destructor rolls back unless it was committed. Must not
  /// outlive the session.
  class Transaction {
   public:
    Transaction(Impl& session, const std::string& begin) : session_(session) {
      session_.exec(begin);
    }
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void commit() {
      session_.exec("commit");
      committed_ = true;
    }

   private:
    Impl& session_;
    bool committed_ = false;
  };

 private:
  template <typename Call>
  auto guarded(Call&& call, bool is_prepared = false);
  const std::string& prepared(const std::string& sql);
  void detect_pooler(const ConnectionSettings& settings);
  bool answers();
  [[noreturn]] void lost(const std::string& text);

  Watchdog watchdog_;
  Millis limit_;
  std::unique_ptr<pqxx::connection> session_;
  std::unique_ptr<compat::QuietNotices> quiet_;
  /// call() begins a transaction: the role's default is not READ COMMITTED, and behind a pooler it
  /// cannot be set for the session.
  bool wrap_ = false;
  bool direct_ = false;
  int server_pid_ = 0;  ///< kept here, as libpq forgets it with the connection
  bool lost_ = false;
  bool prepares_ = false;  ///< prepares statements with parameters; not through a pooler
  std::map<std::string, std::string> prepared_;  ///< names by statement
  std::unique_ptr<compat::Listener> listener_;
};

}  // namespace pgforeman
