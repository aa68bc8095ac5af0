#pragma once
// The inside of Connection, for the sources of this directory: the one place that calls libpqxx
// and turns what it throws into DatabaseError.

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

/// Parameters as text, as PostgreSQL reads them; arrays through sql_text.h.
using SqlParams = std::vector<std::string>;

class Connection::Impl {
 public:
  explicit Impl(const ConnectionSettings& settings);
  ~Impl();

  /// One statement as one READ COMMITTED transaction.
  pqxx::result call(const std::string& sql, const SqlParams& params = {});

  /// One statement, or several without parameters, in whatever transaction is open.
  pqxx::result exec(const std::string& sql, const SqlParams& params = {});

  /// The server process is the one of the connect: no pooler between swaps sessions.
  bool direct() const { return direct_; }
  ReachedDatabase reached() const;
  int socket() const { return session_->sock(); }
  /// What came on `channel` since it was listened to, in order. The first call listens.
  std::vector<std::string> notifications(const std::string& channel);

  /// Begins by the statement `begin`; rolls back at its end unless it was committed. Lives no
  /// longer than the session.
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
  void look_around(const ConnectionSettings& settings);
  bool answers();
  [[noreturn]] void lost(const std::string& text);

  Watchdog watchdog_;
  Millis limit_;
  std::unique_ptr<pqxx::connection> session_;
  std::unique_ptr<compat::QuietNotices> quiet_;
  bool wrap_ = false;  ///< the role's default is not READ COMMITTED and could not be set for good
  bool direct_ = false;
  bool lost_ = false;
  bool prepares_ = false;  ///< statements with parameters; not through a pooler
  std::map<std::string, std::string> prepared_;  ///< names by statement
  std::unique_ptr<compat::Listener> listener_;
};

}  // namespace pgforeman
