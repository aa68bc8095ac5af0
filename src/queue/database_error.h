#pragma once
// The one exception of the database layer. It says what recovery needs to know, not what the server
// printed: whether a new connection, another try or an operator helps.

#include <stdexcept>
#include <string>
#include <utility>

namespace pgforeman {

class DatabaseError : public std::runtime_error {
 public:
  enum class Kind {
    connection,  ///< lost, refused, silent or closed: close it, open a new one later
    transient,   ///< serialization, deadlock, timeout, resources: the same call may succeed later
    locked,      ///< another transaction has locked a row: as above, and without that row at once
    read_only,   ///< a standby or read-only session: reconnect, it may be the wrong server
    schema,      ///< not migrated, or another version: `pgforeman migrate` helps
    permission,  ///< the role lacks a right: an operator helps
    rejected,    ///< the call itself is wrong for this database (bad data): no retry helps
  };
  DatabaseError(Kind kind, const std::string& what) : DatabaseError(kind, what, what) {}
  /// `server_text`: the server's own words, without what `what` advises.
  DatabaseError(Kind kind, const std::string& what, std::string server_text)
      : std::runtime_error(what), kind_(kind), server_text_(std::move(server_text)) {}
  Kind kind() const { return kind_; }
  const std::string& server_text() const { return server_text_; }
  /// The call did nothing, and the same one may succeed.
  bool may_work_later() const { return kind_ == Kind::transient || kind_ == Kind::locked; }

 private:
  Kind kind_;
  std::string server_text_;
};

}  // namespace pgforeman
