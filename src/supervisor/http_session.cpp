#include "supervisor/http_session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <exception>
#include <string_view>
#include <utility>

namespace pgforeman {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Answer";
  }
}

std::string render(const HttpResponse& response, bool http_1_0, bool last, bool with_body) {
  std::string text = "HTTP/1.1 " + std::to_string(response.status) + " ";
  text += reason_phrase(response.status);
  text += "\r\nContent-Type: " + response.content_type;
  text += "\r\nContent-Length: " + std::to_string(response.body.size());
  text += "\r\nCache-Control: no-store";
  if (!response.allow.empty()) text += "\r\nAllow: " + response.allow;
  if (last) {
    text += "\r\nConnection: close";
  } else if (http_1_0) {
    text += "\r\nConnection: keep-alive";
  }
  text += "\r\n\r\n";
  if (with_body) text += response.body;
  return text;
}

}  // namespace

HttpResponse text_response(int status, std::string body) {
  HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

HttpSession::HttpSession(boost::asio::io_context& io, UniqueFd socket, Owner& owner,
                         const SessionLimits& limits)
    : socket_(io), deadline_(io), owner_(owner), limits_(limits) {
  // An answer goes out in one piece; waiting for more of it would only delay a probe.
  const int on = 1;
  ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  socket_.assign(socket.get());
  socket.release();
}

void HttpSession::start() noexcept {
  try {
    set_deadline(limits_.request);
  } catch (const std::exception&) {
    close();
    return;
  }
  run();
}

void HttpSession::close() noexcept {
  if (state_ == State::closed) return;
  state_ = State::closed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  try {
    deadline_.cancel();
  } catch (const std::exception&) {
    // Then it fires, finds the session closed and does nothing.
  }
  owner_.on_closed(*this);
}

void HttpSession::run() noexcept {
  const auto self = shared_from_this();  // close() may drop the owner's
  try {
    Step next = Step::again;
    while (next == Step::again) next = step();
    wait(next);
  } catch (const std::exception&) {
    close();  // out of memory or of kernel resources: this connection's loss, nobody else's
  }
}

HttpSession::Step HttpSession::step() {
  switch (state_) {
    case State::reading:
      return read_step();
    case State::writing:
      return write_step();
    case State::lingering:
      return linger_step();
    case State::closed:
      break;
  }
  return Step::stop;
}

HttpSession::Step HttpSession::read_step() {
  const auto next = reader_.next();
  if (const auto* request = std::get_if<HttpRequest>(&next)) {
    answer(*request);
    return Step::again;
  }
  if (const auto* refusal = std::get_if<Refusal>(&next)) {
    last_ = true;
    answer(text_response(refusal->status, refusal->reason), false, true);
    return Step::again;
  }
  if (peer_ended_) {
    close();
    return Step::stop;
  }
  if (!request_timed_ && !reader_.between_requests()) {
    set_deadline(limits_.request);
    request_timed_ = true;
  }
  return receive();
}

HttpSession::Step HttpSession::receive() {
  std::array<char, kMaxHeaderBytes> buffer;
  const std::size_t room = std::min(buffer.size(), reader_.room());
  const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), room, MSG_DONTWAIT);
  if (n > 0) {
    reader_.append({buffer.data(), static_cast<std::size_t>(n)});
    return Step::again;
  }
  if (n == 0) {
    peer_ended_ = true;
    return Step::again;
  }
  if (errno == EINTR) return Step::again;
  if (errno == EAGAIN) return Step::wait_readable;
  close();
  return Step::stop;
}

void HttpSession::answer(const HttpRequest& request) {
  last_ = !request.keep_alive;
  HttpResponse response;
  try {
    response = owner_.respond(request);
  } catch (const std::exception& error) {
    response = text_response(500, std::string("the answer could not be made: ") + error.what());
  }
  if (response.status == 200 && request.has_body) {
    response = text_response(413, "a request here has no body");
  }
  answer(response, request.http_1_0, request.method != "HEAD");
}

void HttpSession::answer(const HttpResponse& response, bool http_1_0, bool with_body) {
  out_ = render(response, http_1_0, last_, with_body);
  sent_ = 0;
  state_ = State::writing;
  set_deadline(limits_.write);
}

HttpSession::Step HttpSession::write_step() {
  while (sent_ < out_.size()) {
    const ssize_t n = ::send(socket_.native_handle(), out_.data() + sent_, out_.size() - sent_,
                             MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      sent_ += static_cast<std::size_t>(n);
    } else if (errno == EAGAIN) {
      return Step::wait_writable;
    } else if (errno != EINTR) {
      close();
      return Step::stop;
    }
  }
  std::string().swap(out_);  // an idle connection keeps no answer's memory
  owner_.on_answered(*this);
  if (last_) {
    ::shutdown(socket_.native_handle(), SHUT_WR);
    state_ = State::lingering;
    set_deadline(limits_.linger);
    return Step::again;
  }
  state_ = State::reading;
  request_timed_ = false;
  set_deadline(limits_.idle);
  // Another request may wait in the buffer: others get their turn first.
  return reader_.between_requests() ? Step::again : Step::yield;
}

HttpSession::Step HttpSession::linger_step() {
  std::array<char, 16384> buffer;
  while (!peer_ended_ && discarded_ < limits_.linger_bytes) {
    const ssize_t n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) {
      discarded_ += static_cast<std::size_t>(n);
    } else if (n < 0 && errno == EAGAIN) {
      return Step::wait_readable;
    } else if (n == 0 || errno != EINTR) {
      break;
    }
  }
  close();
  return Step::stop;
}

void HttpSession::wait(Step step) {
  const auto resume = [self = shared_from_this()](const boost::system::error_code& error) {
    if (self->state_ == State::closed) return;
    if (error && error != boost::asio::error::operation_aborted) {
      self->close();
    } else {
      self->run();
    }
  };
  using Wait = boost::asio::posix::descriptor_base;
  switch (step) {
    case Step::wait_readable:
      socket_.async_wait(Wait::wait_read, resume);
      return;
    case Step::wait_writable:
      socket_.async_wait(Wait::wait_write, resume);
      return;
    case Step::yield:
      boost::asio::post(socket_.get_executor(), [resume] { resume({}); });
      return;
    case Step::again:
    case Step::stop:
      return;
  }
}

void HttpSession::set_deadline(Millis from_now) {
  deadline_.expires_after(from_now);
  deadline_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error) self->on_deadline();
  });
}

void HttpSession::on_deadline() noexcept {
  // One that was about to run when the deadline was moved: its successor will speak.
  if (state_ == State::closed || deadline_.expiry() > Clock::now()) return;
  const bool half_a_request = state_ == State::reading && !reader_.between_requests();
  if (!half_a_request) {
    close();
    return;
  }
  try {
    last_ = true;
    answer(text_response(408, "the request took too long to arrive"), false, true);
  } catch (const std::exception&) {
    close();
    return;
  }
  // The wait for the rest of the request is what drives this session: end it, and it writes.
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace pgforeman
