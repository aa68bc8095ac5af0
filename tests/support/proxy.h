#pragma once
// Simulates a network that breaks: a TCP proxy on loopback before a server, in its own thread.

#include <atomic>
#include <chrono>
#include <thread>

namespace pgforeman::test {

class Proxy {
 public:
  /// Forwards connections to 127.0.0.1:`server_port`. Throws std::system_error.
  explicit Proxy(int server_port);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  int port() const { return port_; }
  /// Forwards nothing, as if packets were dropped; connections stay open. New connections succeed,
  /// because the kernel accepts them, but get no answer.
  void silence(bool on);
  /// Delays data by `time`, in both directions; 0: no delay.
  void delay(std::chrono::milliseconds time) { delay_ms_ = time.count(); }
  /// Closes all connections with a reset.
  void reset();
  /// Forwards new connections to another port from now on.
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
