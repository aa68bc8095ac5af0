#pragma once
// Gives one interface to libpqxx 6.4 (Debian 12), 7.0 to 7.9, and 7.10 on (Debian 13).

#include <pqxx/connection>
#include <pqxx/errorhandler>
#include <pqxx/except>
#include <pqxx/nontransaction>
#include <pqxx/notification>
#include <pqxx/result>
#include <pqxx/version>
#include <string>
#include <utility>
#include <vector>

namespace pgforeman::compat {

/// Returns the SQLSTATE, or one for the type of the error if libpqxx dropped the SQLSTATE.
inline std::string sqlstate_of(const pqxx::sql_error& error) {
  if (!error.sqlstate().empty()) return error.sqlstate();
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr) return "42501";
  if (dynamic_cast<const pqxx::insufficient_resources*>(&error) != nullptr) return "53000";
  if (dynamic_cast<const pqxx::feature_not_supported*>(&error) != nullptr) return "0A000";
  if (dynamic_cast<const pqxx::invalid_sql_statement_name*>(&error) != nullptr) return "26000";
  return "";
}

#if PQXX_VERSION_MAJOR < 7

inline auto list_of(const std::vector<std::string>& params) {
  return pqxx::prepare::make_dynamic_params(params);
}

/// Keeps libpqxx 6 from opening a new session by itself, mid-transaction and without our settings.
inline void forbid_silent_reconnect(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

#else

inline pqxx::params list_of(const std::vector<std::string>& params) {
  pqxx::params list;
  for (const std::string& each : params) list.append(each);
  return list;
}

inline void forbid_silent_reconnect(pqxx::connection&) {}

#endif

#if PQXX_VERSION_MAJOR > 7 || (PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR >= 10)

inline pqxx::result exec_params(pqxx::nontransaction& work, const std::string& sql,
                                const std::vector<std::string>& params) {
  return work.exec(sql, list_of(params));
}

inline pqxx::result exec_prepared(pqxx::nontransaction& work, const std::string& name,
                                  const std::vector<std::string>& params) {
  return work.exec(pqxx::prepped{name}, list_of(params));
}

/// Drops the server's notices, which libpq would write to stderr unchanged. The reason why a
/// session ended is in its error.
class QuietNotices {
 public:
  explicit QuietNotices(pqxx::connection& connection) {
    connection.set_notice_handler([](pqxx::zview) {});
  }
};

/// LISTENs from its construction on. Destroy it before its connection.
class Listener {
 public:
  Listener(pqxx::connection& connection, const std::string& channel) : connection_(connection) {
    connection_.listen(channel, [this](const pqxx::notification& notification) {
      payloads_.emplace_back(notification.payload);
    });
  }
  std::vector<std::string> take() {
    connection_.get_notifs();
    return std::exchange(payloads_, {});
  }

 private:
  pqxx::connection& connection_;
  std::vector<std::string> payloads_;
};

#else

inline pqxx::result exec_params(pqxx::nontransaction& work, const std::string& sql,
                                const std::vector<std::string>& params) {
  return work.exec_params(sql, list_of(params));
}

inline pqxx::result exec_prepared(pqxx::nontransaction& work, const std::string& name,
                                  const std::vector<std::string>& params) {
  return work.exec_prepared(name, list_of(params));
}

using QuietNotices = pqxx::quiet_errorhandler;

class Listener : private pqxx::notification_receiver {
 public:
  Listener(pqxx::connection& connection, const std::string& channel)
      : pqxx::notification_receiver(connection, channel), connection_(connection) {}
  std::vector<std::string> take() {
    connection_.get_notifs();
    return std::exchange(payloads_, {});
  }

 private:
  void operator()(const std::string& payload, int) override { payloads_.push_back(payload); }

  pqxx::connection& connection_;
  std::vector<std::string> payloads_;
};

#endif

}  // namespace pgforeman::compat
