#pragma once
// A small blocking HTTP client for tests of a real endpoint on loopback: one request a connection,
// timed. Its own code, so that a mistake of the product's client cannot hide one of the server's.

#include <chrono>
#include <string>

namespace pgforeman::test {

struct HttpReply {
  int status = 0;  ///< 0: no answer; then `problem` says why
  std::string content_type;
  std::string body;
  std::string problem;
  std::chrono::microseconds took{0};
};

/// GET http://127.0.0.1:port/target. Never throws; never later than `limit`.
HttpReply http_get(int port, const std::string& target,
                   std::chrono::milliseconds limit = std::chrono::seconds(5),
                   const std::string& method = "GET");

/// A connected socket, or -1. The caller closes it.
int connect_to(int port);

}  // namespace pgforeman::test
