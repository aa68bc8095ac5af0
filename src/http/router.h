#pragma once
// Maps each request to the function that answers it. Pure: no sockets, no clock. Fork: either.

#include <functional>
#include <string>
#include <vector>

namespace pgforeman {

struct HttpRequest {
  std::string method;
  std::string target;     ///< as received: a path with a query, or a proxy's absolute form
  std::string body;       ///< only for POST
  bool has_body = false;  ///< the headers announce a body; it is read only if the route takes one
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
  std::string allow{};  ///< the Allow header; only for 405
};

/// Returns the answer. A std::exception from it is answered with 500 and the exception's text.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpRoute {
  std::string path;    ///< without a query
  HttpHandler get{};   ///< answers HEAD too: the server then omits the body
  HttpHandler post{};  ///< takes a body
};

using HttpRoutes = std::vector<HttpRoute>;

/// True if the request's route reads a body.
bool takes_body(const HttpRoutes& routes, const HttpRequest& request);

/// Returns the route's answer. Without a route, 404 names all paths, or 405 the path's methods. A
/// 200 for a GET with a body becomes 413, because a GET route reads no body.
HttpResponse answer(const HttpRoutes& routes, const HttpRequest& request);

}  // namespace pgforeman
