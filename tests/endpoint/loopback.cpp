#include "loopback.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <cctype>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "support/catch.h"

namespace pgforeman::test {

FleetView sample_view() {
  FleetView view;
  view.version = "1.2.3";
  view.state = "running";
  view.queue = "orders";
  view.pid = 4711;
  view.uptime_seconds = 12.5;
  view.ready = true;
  for (int i = 0; i < 3; ++i) {
    SlotView slot;
    slot.slot = i;
    slot.role = "consumer";
    slot.pid = 5000 + i;
    slot.epoch = 7;
    slot.phase = i == 0 ? Phase::running : Phase::waiting;
    slot.phase_seconds = 0.5;
    slot.deadline_in_seconds = 29.5;
    slot.heartbeat_age_seconds = 0.25;
    slot.connected = true;
    slot.restarts = 6;
    slot.messages.done = 100;
    view.slots.push_back(slot);
  }
  view.slots[0].message_id = 42;
  view.slots[0].attempt = 2;
  view.slots[0].batch = 20;
  view.slots[1].last_exit = LastExit{"signal", "killed by SIGKILL", 3.5};
  view.maintenance.slot = -1;
  view.maintenance.role = "maintenance";
  view.maintenance.pid = 5003;
  view.maintenance.phase = Phase::waiting;
  view.counts = QueueView{10, 20, 3, 4, 1.5, 0.75, false};
  view.messages = {300, 5, 4, 3, 2};
  view.handler_buckets[0] = 100;
  view.handler_buckets[13] = 2;
  view.handler_buckets[14] = 1;
  view.handler_seconds_sum = 4000.25;
  view.failures_by_cause = {{"retry", 3}, {"timeout", 0}, {"signal", 2}};
  view.exits_by_cause = {{"signal", 4}, {"exit_code", 1}};
  view.log_lines_dropped = 9;
  return view;
}

Server::Server(Endpoint::View view, const std::string& address)
    : endpoint(io, address, 0, std::move(view)) {}

bool Loop::drive_until(const std::function<bool()>& done, Millis limit) {
  const TimePoint end = Clock::now() + limit;
  while (!done()) {
    if (Clock::now() > end) return false;
    if (io.stopped()) io.restart();
    turns_ += io.run_one_for(std::chrono::milliseconds(1));
  }
  return true;
}

ServerProcess::ServerProcess(const Endpoint::View& view) {
  std::array<int, 2> fds{};
  REQUIRE(::pipe(fds.data()) == 0);
  const UniqueFd reader(fds[0]);
  const UniqueFd writer(fds[1]);
  pid_ = ::fork();
  if (pid_ == 0) {
    // Made here, not before: two processes must not share an epoll set.
    ::alarm(60);
    Server server(view);
    const std::uint16_t bound = server.port();
    (void)!::write(writer.get(), &bound, sizeof bound);
    server.io.run();
    ::_exit(0);
  }
  REQUIRE(::read(reader.get(), &port, sizeof port) == sizeof port);
}

ServerProcess::~ServerProcess() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string Response::field(std::string_view name) const {
  for (std::size_t at = head.find("\r\n"); at != std::string::npos;
       at = head.find("\r\n", at + 2)) {
    const auto end = head.find("\r\n", at + 2);
    const auto line = std::string_view(head).substr(at + 2, end - at - 2);
    if (line.size() > name.size() + 1 && line.substr(0, name.size()) == name &&
        line[name.size()] == ':') {
      return std::string(line.substr(name.size() + 2));
    }
  }
  return {};
}

Client::Client(std::uint16_t port, std::string_view address) {
  namespace ip = boost::asio::ip;
  const ip::tcp::endpoint to(ip::make_address(std::string(address)), port);
  fd_ = UniqueFd(::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd_) throw std::system_error(errno, std::generic_category(), "socket");
  // Blocking: the kernel completes it from the listener's queue, without the server's help.
  if (::connect(fd_.get(), to.data(), static_cast<socklen_t>(to.size())) != 0) {
    throw std::system_error(errno, std::generic_category(), "connect");
  }
  ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
}

void Client::send(std::string_view bytes) {
  (void)::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Client::end() {
  ::shutdown(fd_.get(), SHUT_WR);
}

bool Client::receive() {
  std::array<char, 65536> buffer;
  while (!closed_) {
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      break;
    } else {
      closed_ = true;
    }
  }
  return !closed_;
}

bool Client::was_reset() const {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error != 0;
}

bool Client::take(Response& response, bool head_only) {
  const auto end = received_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  response.head = received_.substr(0, end);
  response.status = std::stoi(response.head.substr(9, 3));
  const auto length = head_only ? 0 : std::stoul(response.field("Content-Length"));
  if (received_.size() < end + 4 + length) return false;
  response.body = received_.substr(end + 4, length);
  received_.erase(0, end + 4 + length);
  return true;
}

Response ask(Loop& server, Client& client, std::string_view bytes, bool head_only) {
  client.send(bytes);
  Response response;
  const bool answered = server.drive_until([&] {
    client.receive();
    return client.take(response, head_only) || client.closed();
  });
  REQUIRE(answered);
  REQUIRE(response.status != 0);
  return response;
}

Response get(Server& server, const std::string& target) {
  Client client(server.port());
  return ask(server, client, "GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
}

}  // namespace pgforeman::test
