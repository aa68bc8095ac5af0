// Routes: which function answers, and what is said where none does.

#include "http/router.h"

#include <stdexcept>

#include "support/catch.h"

using namespace pgforeman;

namespace {

HttpResponse echo(const HttpRequest& request) {
  return {200, request.method + " " + request.target + " " + request.body};
}

const HttpRoutes kRoutes = {{"/a", echo}, {"/b", echo, echo}, {"/c", {}, echo}};

HttpResponse asked(const std::string& method, const std::string& target, bool has_body = false) {
  return answer(kRoutes, {method, target, "body", has_body});
}

}  // namespace

TEST_CASE("A route's function gets the request whole, whatever the form of its target",
          "[router]") {
  CHECK(asked("GET", "/a").body == "GET /a body");
  CHECK(asked("HEAD", "/a").body == "HEAD /a body");
  CHECK(asked("GET", "/a?b=/c#d").body == "GET /a?b=/c#d body");
  CHECK(asked("GET", "http://fleet:8080/a").status == 200);
  CHECK(asked("POST", "/b", true).body == "POST /b body");
  CHECK(asked("POST", "/b").status == 200);
}

TEST_CASE("An unknown path is 404 and names the known ones", "[router]") {
  for (const char* target : {"", "/", "*", "/A", "/a/", "http://fleet:8080", "?/a"}) {
    INFO(target);
    CHECK(asked("GET", target).status == 404);
    CHECK(asked("BREW", target, true).body == "no such path; there are /a, /b and /c");
  }
  CHECK(answer({}, {"GET", "/", {}, false}).status == 404);
}

TEST_CASE("An unknown method is 405 and names those of the path", "[router]") {
  CHECK(asked("POST", "/a", true).status == 405);
  CHECK(asked("POST", "/a", true).allow == "GET, HEAD");
  CHECK(asked("PUT", "/a").body == "only GET and HEAD are answered here");
  CHECK(asked("get", "/b").allow == "GET, HEAD, POST");
  CHECK(asked("PUT", "/b").body == "only GET, HEAD and POST are answered here");
  CHECK(asked("GET", "/c", true).status == 405);
  CHECK(asked("HEAD", "/c").body == "only POST is answered here");
}

TEST_CASE("Only POST takes a body", "[router]") {
  CHECK(asked("GET", "/a", true).status == 413);
  CHECK(asked("HEAD", "/b", true).status == 413);
  const HttpRoutes away = {{"/", [](const HttpRequest&) { return HttpResponse{503, "away"}; }}};
  CHECK(answer(away, {"GET", "/", {}, true}).status == 503);
  CHECK(takes_body(kRoutes, {"POST", "/b?x", {}, true}));
  CHECK(takes_body(kRoutes, {"POST", "/c", {}, true}));
  CHECK_FALSE(takes_body(kRoutes, {"GET", "/b", {}, true}));
  CHECK_FALSE(takes_body(kRoutes, {"POST", "/a", {}, true}));
  CHECK_FALSE(takes_body(kRoutes, {"POST", "/nowhere", {}, true}));
}

TEST_CASE("A function that throws is 500 with its text", "[router]") {
  const HttpRoutes routes = {
      {"/", [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("no view"); }}};
  const HttpResponse response = answer(routes, {"GET", "/", {}, false});
  CHECK(response.status == 500);
  CHECK(response.body == "the answer could not be made: no view");
}
