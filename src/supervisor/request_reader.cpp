#include "supervisor/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

namespace pgforeman {
namespace http = boost::beast::http;

struct RequestReader::Parser {
  Parser() {
    // Bodies are refused, not read: the message ends with its header.
    http.skip(true);
    // Beast counts only what one call sees, so the bound is kept here, over all calls.
    http.header_limit(2 * kMaxHeaderBytes);
  }
  http::request_parser<http::empty_body> http;
};

namespace {

template <typename View>
std::string to_string(const View& view) {
  return std::string(view.data(), view.size());
}

Refusal too_large() {
  return {431, "the request's header is longer than " + std::to_string(kMaxHeaderBytes) + " bytes"};
}

Refusal refusal_of(const boost::system::error_code& error) {
  if (error == http::error::header_limit) return too_large();
  if (error == http::error::bad_version) return {505, "HTTP/1.0 and HTTP/1.1 are spoken here"};
  return {400, "not an HTTP request: " + error.message()};
}

}  // namespace

RequestReader::RequestReader() = default;
RequestReader::~RequestReader() = default;

std::size_t RequestReader::room() const {
  return kMaxHeaderBytes - std::min(kMaxHeaderBytes, header_bytes_ + pending_.size());
}

void RequestReader::append(std::string_view bytes) {
  pending_.append(bytes);
}

std::variant<NeedMore, HttpRequest, Refusal> RequestReader::next() {
  // RFC 9112, 2.2: empty lines before a request line are skipped; they count towards the bound.
  while (!parser_ && pending_.size() >= 2 && pending_[0] == '\r' && pending_[1] == '\n') {
    pending_.erase(0, 2);
    header_bytes_ += 2;
  }
  const bool half_an_empty_line = !parser_ && pending_ == "\r";
  if (!pending_.empty() && !half_an_empty_line) {
    if (!parser_) parser_ = std::make_unique<Parser>();
    boost::system::error_code error;
    const std::size_t used =
        parser_->http.put(boost::asio::const_buffer(pending_.data(), pending_.size()), error);
    pending_.erase(0, used);
    header_bytes_ += used;
    if (error && error != http::error::need_more) return refusal_of(error);
    if (!error && parser_->http.is_done()) return take_request();
  }
  if (room() == 0) return too_large();  // proves: P42
  return NeedMore{};
}

HttpRequest RequestReader::take_request() {
  const auto& parser = parser_->http;
  HttpRequest request;
  request.method = to_string(parser.get().method_string());
  request.target = to_string(parser.get().target());
  request.http_1_0 = parser.get().version() < 11;
  request.has_body = parser.content_length().value_or(0) > 0 ||
                     parser.get().find(http::field::transfer_encoding) != parser.get().end();
  request.keep_alive = parser.keep_alive() && !request.has_body;
  parser_.reset();
  header_bytes_ = 0;
  return request;
}

}  // namespace pgforeman
