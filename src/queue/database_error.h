#pragma once
// The only exception of the database layer. Its kind says what helps: a new connection, another try
// or an operator.

#include <stdexcept>
#include <string>
#include <utility>

namespace pgforeman {

class DatabaseError : public std::runtime_error {
 public:
  enum class Kind {
    connection,  ///< lost, refused, silent or closed: close it and open a new one later
    transient,   ///< serialization, deadlock, timeout, resources: the same call may succeed later
    locked,      ///< another transaction has locked a row: retry later, or now without that row
    read_only,   ///< a standby or read-only session: reconnect, it may be the wrong server
    schema,      ///< not migrated, or another version: `pgforeman migrate` helps
    permission,  ///< the role lacks a right: an operator helps
    rejected,    ///< the call itself is wrong for this database (bad data): no retry helps
  };
  DatabaseError(Kind kind, const std::string& what) : DatabaseError(kind, what, what) {}
  /// `server_text`: the server's own message; `what` may add advice to it.
  DatabaseError(Kind kind, const std::string& what, std::string server_text)
      : std::runtime_error(what), kind_(kind), server_text_(std::move(server_text)) {}
  Kind kind() const { return kind_; }
  const std::string& server_text() const { return server_text_; }
  /// True if the session or its role is at fault: no other call would succeed. Else a row or a duty
  /// may be; Queue has made sure that schema and rights are in order.
  bool is_of_session() const {
    return kind_ == Kind::connection || kind_ == Kind::read_only || kind_ == Kind::schema ||
           kind_ == Kind::permission;
  }
  /// True if the call changed nothing and may succeed later.
  bool may_work_later() const { return kind_ == Kind::transient || kind_ == Kind::locked; }

 private:
  Kind kind_;
  std::string server_text_;
};

}  // namespace pgforeman
