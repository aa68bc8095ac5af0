#pragma once
// A small blocking HTTP client for tests of an endpoint on loopback. It times one request for each
// connection. It shares no code with the product, so a client bug cannot hide a server bug.

#include <chrono>
#include <string>

namespace pgforeman::test {

struct HttpReply {
  int status = 0;  ///< 0: no answer; `problem` says why
  std::string content_type;
  std::string body;
  std::string problem;
  std::chrono::microseconds took{0};
};

/// Requests http://127.0.0.1:port/target. Never throws; returns within `limit`.
HttpReply http_get(int port, const std::string& target,
                   std::chrono::milliseconds limit = std::chrono::seconds(5),
                   const std::string& method = "GET");

/// Returns a connected socket, or -1. The caller closes it.
int connect_to(int port);

}  // namespace pgforeman::test
