#include "http/session.h"

#include <algorithm>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <limits>
#include <string_view>
#include <utility>

namespace pgforeman {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;

namespace {

constexpr std::size_t kReadBytes = 1024;

}  // namespace

/// Returns an asio handler that calls `step`. An exception, for example out of memory, closes only
/// this connection.
auto HttpSession::then(void (HttpSession::*step)(const Error& error, std::size_t bytes)) {
  return [self = shared_from_this(), step](const Error& error = {}, std::size_t bytes = 0) {
    if (self->closed_) return;
    try {
      (self.get()->*step)(error, bytes);
    } catch (const std::exception&) {
      self->close();
    }
  };
}

HttpSession::HttpSession(tcp::socket socket, HttpSessions& all)
    : stream_(std::move(socket)), request_timer_(stream_.get_executor()), all_(all) {}

void HttpSession::start() {
  all_.by_age.push_back(shared_from_this());
  const auto begin = then(&HttpSession::begin);
  begin();
}

void HttpSession::close() noexcept {
  closed_ = true;
  stream_.close();
  request_timer_.cancel();
  all_.by_age.remove(shared_from_this());
}

void HttpSession::begin(const Error&, std::size_t) {
  // An answer is one write, so Nagle's delay would only slow down a probe.
  Error ignored;
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  time_request();
  read();
}

void HttpSession::time_request() {
  stream_.expires_never();
  request_timer_.expires_after(all_.limits.request);
  request_timer_.async_wait(then(&HttpSession::on_late));
}

void HttpSession::on_late(const Error& error, std::size_t) {
  // Ignores a callback that was already due when the timer was changed.
  if (error || request_timer_.expiry() > Clock::now()) return;
  late_ = true;
  stream_.cancel();  // the pending read ends, and on_read() handles late_
}

void HttpSession::read() {
  const bool in_header = !parser_ || !parser_->is_header_done();
  const std::size_t header = in_header ? parsed_ + buffer_.size() : 0;
  // Beast bounds only the bytes of one call; this also bounds a header that arrives in pieces.
  const std::size_t most = all_.limits.header_bytes;
  if (header >= most) return refuse_long(431, "header", most);  // proves: P42
  stream_.async_read_some(buffer_.prepare(std::min(kReadBytes, most - header)),
                          then(&HttpSession::on_read));
}

void HttpSession::on_read(const Error& error, std::size_t bytes) {
  buffer_.commit(bytes);
  const bool half_a_request = parsed_ + buffer_.size() > 0;
  if (late_ && half_a_request) return refuse(408, "the request took too long to arrive");
  if (late_ || error) return close();
  if (request_timer_.expiry() == TimePoint::max()) time_request();
  parse();
}

void HttpSession::parse() {
  const auto received = [this] {
    return std::string_view(static_cast<const char*>(buffer_.data().data()), buffer_.size());
  };
  if (!parser_) {
    // RFC 9112, 2.2: empty lines before a request are skipped; they count as header bytes.
    for (; received().substr(0, 2) == "\r\n"; parsed_ += 2) buffer_.consume(2);
    if (received().empty() || received() == "\r") return read();
    parser_.emplace();
    parser_->header_limit(all_.limits.header_bytes);
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // on_header() checks it
  }
  Error error;
  const std::size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  parsed_ += used;
  if (error == http::error::need_more) return read();
  if (error == http::error::header_limit) {
    return refuse_long(431, "header", all_.limits.header_bytes);
  }
  if (error == http::error::bad_version) {
    return refuse(505, "only HTTP/1.0 and HTTP/1.1 are supported");
  }
  if (error) return refuse(400, "not an HTTP request: " + error.message());
  on_header();
}

void HttpSession::on_header() {
  const auto& message = parser_->get();
  const auto method = message.method_string(), target = message.target();
  const bool encoded = message.count(http::field::transfer_encoding) > 0;
  const std::uint64_t length = parser_->content_length().value_or(0);
  HttpRequest request{
      {method.data(), method.size()}, {target.data(), target.size()}, {}, encoded || length > 0};
  if (request.has_body && takes_body(all_.routes, request)) {
    const std::size_t most = all_.limits.body_bytes;
    if (encoded) return refuse(411, "a request with a body needs Content-Length");
    if (length > most) return refuse_long(413, "body", most);
    if (!parser_->is_done()) return buffer_.size() > 0 ? parse() : read();
    request.body = std::move(parser_->get().body());
  }
  // After an unread body no further request can be read from the connection.
  last_ = !parser_->keep_alive() || !parser_->is_done() || encoded;
  write(answer(all_.routes, request));
}

void HttpSession::refuse(int status, const std::string& reason) {
  parser_.reset();
  last_ = true;
  write({status, reason});
}

void HttpSession::refuse_long(int status, const std::string& part, std::size_t most) {
  refuse(status, "the request's " + part + " is longer than " + std::to_string(most) + " bytes");
}

void HttpSession::write(HttpResponse response) {
  request_timer_.expires_at(TimePoint::max());
  response_.result(static_cast<unsigned>(response.status));
  if (response.status == 413) response_.reason("Content Too Large");  // as in RFC 9110
  response_.set(http::field::content_type, response.content_type);
  response_.content_length(response.body.size());
  response_.set(http::field::cache_control, "no-store");
  if (!response.allow.empty()) response_.set(http::field::allow, response.allow);
  const bool http_1_0 = parser_ && parser_->get().version() < 11;
  if (last_ || http_1_0) response_.set(http::field::connection, last_ ? "close" : "keep-alive");
  const bool head = parser_ && parser_->get().method() == http::verb::head;
  if (!head) response_.body() = std::move(response.body);
  stream_.expires_after(all_.limits.write);
  http::async_write(stream_, response_, then(&HttpSession::on_written));
}

void HttpSession::on_written(const Error& error, std::size_t) {
  if (error) return close();
  response_ = {};  // frees the answer's memory while the connection idles
  all_.by_age.remove(shared_from_this());
  all_.by_age.push_back(shared_from_this());
  if (last_) {
    Error ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(all_.limits.linger);
    return linger({}, 0);
  }
  parser_.reset();
  parsed_ = 0;
  stream_.expires_after(all_.limits.idle);
  if (buffer_.size() > 0) time_request();
  parse();
}

void HttpSession::linger(const Error& error, std::size_t bytes) {
  discarded_ += std::max(bytes, kReadBytes);  // so that many tiny reads reach the limit, too
  if (error || discarded_ >= all_.limits.linger_bytes) return close();
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(kReadBytes), then(&HttpSession::linger));
}

}  // namespace pgforeman
