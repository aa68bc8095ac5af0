#pragma once
// Cuts the bytes of one connection into HTTP/1.x requests. No sockets, no clock: bytes in, requests
// out. Every input ends in a request, a refusal or the wish for more; memory is bounded by
// kMaxHeaderBytes. Fork: before.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace pgforeman {

/// Request line and fields together; a probe needs about 150.
inline constexpr std::size_t kMaxHeaderBytes = 8192;

struct HttpRequest {
  std::string method;
  std::string target;
  bool http_1_0 = false;
  bool keep_alive = false;
  bool has_body = false;  ///< a body was announced; it is not read, so nothing can follow it
};

/// The bytes are no request to answer: say `status` and close.
struct Refusal {
  int status = 400;
  std::string reason;
};

struct NeedMore {};

class RequestReader {
 public:
  RequestReader();
  ~RequestReader();

  /// How many bytes append() takes now.
  std::size_t room() const;
  void append(std::string_view bytes);

  /// The next request. After a Refusal, or a request with a body, the stream is over.
  std::variant<NeedMore, HttpRequest, Refusal> next();

  /// True between requests: not a byte of the next one has come.
  bool between_requests() const { return header_bytes_ == 0 && pending_.empty(); }

 private:
  struct Parser;
  HttpRequest take_request();

  std::unique_ptr<Parser> parser_;  ///< of the request being read; none between requests
  std::string pending_;             ///< received, not yet parsed
  std::size_t header_bytes_ = 0;    ///< of the current request that the parser has taken
};

}  // namespace pgforeman
