#pragma once
// Which function answers which request. Plain values: no sockets, no clock. Fork: either.

#include <functional>
#include <string>
#include <vector>

namespace pgforeman {

struct HttpRequest {
  std::string method;
  std::string target;     ///< as it came: a path with a query, or a proxy's absolute form
  std::string body;       ///< of POST alone
  bool has_body = false;  ///< one was announced; it is read only where a route takes it
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::string allow{};  ///< 405 only
};

/// What throws std::exception is answered 500, with its text.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpRoute {
  std::string path;    ///< without a query
  HttpHandler get{};   ///< answers HEAD too: the server leaves the body away
  HttpHandler post{};  ///< takes a body
};

using HttpRoutes = std::vector<HttpRoute>;

/// True where the request's route reads a body.
bool takes_body(const HttpRoutes& routes, const HttpRequest& request);

/// Where no route answers: 404 names the paths there are, 405 the methods of this one. A body that
/// no route reads makes 413 of a 200.
HttpResponse answer(const HttpRoutes& routes, const HttpRequest& request);

}  // namespace pgforeman
