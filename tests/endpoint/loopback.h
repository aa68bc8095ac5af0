#pragma once
// An endpoint served by the test itself, and clients on loopback that never block: a wait drives
// the server meanwhile.

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "http/server.h"
#include "supervisor/endpoint.h"
#include "system/clock.h"
#include "system/fd.h"

namespace pgforeman::test {

/// A fleet of three slots with something in every field.
FleetView sample_view();

/// A whole request, after which the server closes.
inline const std::string kProbe = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A server's loop, in the test's own hands.
class Loop {
 public:
  /// Runs handlers one by one until `done`; false when that did not come within `limit`.
  bool drive_until(const std::function<bool()>& done, Millis limit = Millis{10'000});
  std::uint64_t turns() const { return turns_; }

  boost::asio::io_context io{1};

 private:
  std::uint64_t turns_ = 0;
};

class Server : public Loop {
 public:
  explicit Server(Endpoint::View view = sample_view, const std::string& address = "127.0.0.1");
  std::uint16_t port() const { return endpoint.port(); }

  Endpoint endpoint;
};

/// A server that knows no fleet: what the test gives it.
class PlainServer : public Loop {
 public:
  explicit PlainServer(HttpRoutes routes, const HttpLimits& limits = {})
      : server(io, "127.0.0.1", 0, std::move(routes), limits) {}
  std::uint16_t port() const { return server.port(); }

  HttpServer server;
};

/// The endpoint in a process of its own, so that a blocking client can ask it.
class ServerProcess {
 public:
  explicit ServerProcess(const Endpoint::View& view = sample_view);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  std::uint16_t port = 0;

 private:
  pid_t pid_ = -1;
};

struct Response {
  int status = 0;
  std::string head;  ///< status line and fields
  std::string body;
  std::string field(std::string_view name) const;  ///< empty: there is none
};

class Client {
 public:
  explicit Client(std::uint16_t port, std::string_view address = "127.0.0.1");

  void send(std::string_view bytes);  ///< as much as the socket takes
  void end();                         ///< no more from this side
  bool receive();                     ///< takes what has come; false once the server has closed
  bool closed() const { return closed_; }
  /// The server's end was a reset: where a router or the peer's kernel takes that as leave to throw
  /// away what has not been read, an answer is lost.
  bool was_reset() const;
  const std::string& received() const { return received_; }
  int fd() const { return fd_.get(); }

  /// Cuts the first complete response off what was received, if it is all there. `head_only`: the
  /// answer to HEAD.
  bool take(Response& response, bool head_only = false);

 private:
  UniqueFd fd_;
  bool closed_ = false;
  std::string received_;
};

/// Sends and waits for one response; fails the test when none comes.
Response ask(Loop& server, Client& client, std::string_view bytes, bool head_only = false);
Response get(Server& server, const std::string& target);

}  // namespace pgforeman::test
