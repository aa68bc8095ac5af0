#pragma once
// A network that can break: a TCP proxy on loopback in front of a server, in a thread of its own.

#include <atomic>
#include <chrono>
#include <thread>

namespace pgforeman::test {

class Proxy {
 public:
  /// In front of 127.0.0.1:`server_port`. Throws std::system_error.
  explicit Proxy(int server_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }
  /// As if packets were dropped: nothing is passed on, connections stay open; a new one is made, as
  /// its packets would be sent again and again, but never answered.
  void silence(bool on);
  /// Each piece of data is on its way for that long, in both directions. 0: at once.
  void delay(std::chrono::milliseconds time) { delay_ms_ = time.count(); }
  /// Ends all connections with a reset.
  void reset();
  /// Where new connections go from now on.
  void redirect(int server_port) { server_port_ = server_port; }

 private:
  void run();

  int listener_ = -1, wake_ = -1, port_ = 0;
  std::atomic<int> server_port_;
  std::atomic<bool> stop_{false}, silent_{false}, reset_{false};
  std::atomic<std::int64_t> delay_ms_{0};
  std::thread thread_;
};

}  // namespace pgforeman::test
