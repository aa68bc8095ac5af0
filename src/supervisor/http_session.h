#pragma once
// One connection of the endpoint: reads requests, writes answers in order, one at a time, under
// deadlines. Fork: before; a child closes its descriptor unseen and never runs it.
//
// reading -> writing -> reading ...          (keep-alive)
//                    \-> lingering -> closed (the last answer; then the peer's end is awaited,
//                                             or its unread bytes would reset the connection and
//                                             take the answer with them)

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "supervisor/request_reader.h"

namespace pgforeman {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string allow;  ///< 405 only
};

HttpResponse text_response(int status, std::string body);

struct SessionLimits {
  Millis request{5000};                 ///< from connecting, or from a later request's first byte
  Millis write{5000};                   ///< for one answer
  Millis idle{75'000};                  ///< between requests; more than a scrape interval
  Millis linger{1000};                  ///< for the peer's end after the last answer
  std::size_t linger_bytes = 1u << 20;  ///< read and thrown away meanwhile
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  /// What a session needs of the endpoint that owns it.
  class Owner {
   public:
    virtual HttpResponse respond(const HttpRequest& request) = 0;
    virtual void on_answered(HttpSession& session) = 0;  ///< not idle for long: evict others first
    virtual void on_closed(HttpSession& session) = 0;    ///< its descriptor is free; called once

   protected:
    ~Owner() = default;
  };

  /// Takes a connected, non-blocking socket. Throws std::system_error.
  HttpSession(boost::asio::io_context& io, UniqueFd socket, Owner& owner,
              const SessionLimits& limits = {});

  /// Serves what has already arrived and goes on by itself until closed. Throws nothing.
  void start() noexcept;

  /// Closes at once; the owner is told. Idempotent.
  void close() noexcept;

 private:
  enum class State { reading, writing, lingering, closed };
  enum class Step { again, wait_readable, wait_writable, yield, stop };

  void run() noexcept;
  Step step();
  Step read_step();
  Step receive();
  Step write_step();
  Step linger_step();
  void answer(const HttpRequest& request);
  void answer(const HttpResponse& response, bool http_1_0, bool with_body);
  void wait(Step step);
  void set_deadline(Millis from_now);
  void on_deadline() noexcept;

  boost::asio::posix::stream_descriptor socket_;
  boost::asio::steady_timer deadline_;
  Owner& owner_;
  const SessionLimits limits_;
  State state_ = State::reading;
  RequestReader reader_;
  bool request_timed_ = true;  ///< the deadline is the current request's, not the idle one
  bool peer_ended_ = false;    ///< it will send no more; what it sent is still answered
  bool last_ = false;          ///< close after this answer
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t discarded_ = 0;
};

}  // namespace pgforeman
