#pragma once
// One connection of the server: reads a request, answers it, reads the next. Only for src/http, as
// it includes Beast. Fork: before; a child closes the descriptor and never runs the session.
//
// The stream's expiry closes a connection that idles or does not take its answer. A request has
// its own timer, because a late one is answered (408). After the last answer the session waits for
// the peer to close: to close with unread bytes would reset the connection and could lose the
// answer.

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <list>
#include <optional>

#include "http/server.h"

namespace pgforeman {

class HttpSession;

/// The data that the sessions of a server share; it must outlive all steps of the sessions.
struct HttpSessions {
  HttpRoutes routes;
  HttpLimits limits;
  std::list<std::shared_ptr<HttpSession>> by_age{};  ///< oldest first, by connecting or last answer
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(boost::asio::ip::tcp::socket socket, HttpSessions& all);

  /// Adds itself to the sessions and serves requests until closed.
  void start();

  /// Removes itself from the sessions and frees the descriptor at once. Idempotent.
  void close() noexcept;

 private:
  using Error = boost::beast::error_code;
  using Body = boost::beast::http::string_body;

  auto then(void (HttpSession::*step)(const Error& error, std::size_t bytes));
  void on_read(const Error& error, std::size_t bytes);
  void on_late(const Error& error, std::size_t);
  void on_written(const Error& error, std::size_t);
  void linger(const Error& error, std::size_t bytes);
  void begin(const Error&, std::size_t);
  void time_request();
  void read();
  void parse();
  void on_header();
  void refuse(int status, const std::string& reason);
  void refuse_long(int status, const std::string& part, std::size_t most);
  void write(HttpResponse response);

  boost::beast::tcp_stream stream_;
  boost::asio::steady_timer request_timer_;
  HttpSessions& all_;
  boost::beast::flat_buffer buffer_;                                ///< received, not yet parsed
  std::optional<boost::beast::http::request_parser<Body>> parser_;  ///< set from a request's start
  std::size_t parsed_ = 0;  ///< bytes of the current request that are not in the buffer any more
  boost::beast::http::response<Body> response_;
  std::size_t discarded_ = 0;
  bool late_ = false;
  bool last_ = false;  ///< the connection is closed after this answer
  bool closed_ = false;
};

}  // namespace pgforeman
