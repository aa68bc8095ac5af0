#include "http/router.h"

#include <algorithm>
#include <exception>
#include <string_view>

namespace pgforeman {
namespace {

/// Returns the path of a request target, without its query, or the scheme and host that proxies
/// send.
std::string_view path_of(std::string_view target) {
  constexpr std::string_view scheme = "http://";
  if (target.substr(0, scheme.size()) == scheme) {
    const auto slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  return target.substr(0, target.find_first_of("?#"));
}

void append(std::string& list, const std::string& word) {
  list += (list.empty() ? "" : ", ") + word;
}

/// Returns "a, b and c" for "a, b, c".
std::string in_words(std::string list) {
  const auto comma = list.rfind(", ");
  return comma == std::string::npos ? list : list.replace(comma, 2, " and ");
}

}  // namespace

bool takes_body(const HttpRoutes& routes, const HttpRequest& request) {
  return request.method == "POST" &&
         std::any_of(routes.begin(), routes.end(), [&](const HttpRoute& route) {
           return route.post && route.path == path_of(request.target);
         });
}

HttpResponse answer(const HttpRoutes& routes, const HttpRequest& request) {
  std::string paths;
  for (const HttpRoute& route : routes) {
    append(paths, route.path);
    if (route.path != path_of(request.target)) continue;
    const bool get = request.method == "GET" || request.method == "HEAD";
    const HttpHandler& handler = get ? route.get : route.post;
    if (!handler || (!get && request.method != "POST")) {
      std::string allow = route.get ? "GET, HEAD" : "";
      if (route.post) append(allow, "POST");
      const std::string verb = allow == "POST" ? " is" : " are";
      return {405, "only " + in_words(allow) + verb + " answered here", "text/plain; charset=utf-8",
              allow};
    }
    try {
      HttpResponse response = handler(request);
      if (!get || !request.has_body || response.status != 200) return response;
      return {413, "a GET request must not have a body"};
    } catch (const std::exception& error) {
      return {500, std::string("the answer could not be made: ") + error.what()};
    }
  }
  return {404, "no such path; there are " + in_words(paths)};
}

}  // namespace pgforeman
