#pragma once
// Stops each new child of a process at its birth, before it runs one instruction of its own (ptrace
// with TRACEFORK), and then does to it what a test wants: a child that hangs or dies while it
// boots, for real and every time.

#include <sys/types.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace pgforeman::test {

class BirthTracer {
 public:
  enum class Fate { live, die, hang };

  /// Throws std::runtime_error where tracing is not allowed.
  BirthTracer(pid_t supervisor, Fate fate);
  ~BirthTracer();
  BirthTracer(const BirthTracer&) = delete;
  BirthTracer& operator=(const BirthTracer&) = delete;

  /// For children born from now on.
  void set(Fate fate) { fate_ = fate; }
  /// Lets go of everything. Before the supervisor ends: its exit would be the tracer's to see.
  void end();
  /// Children seen so far.
  std::vector<pid_t> born() const;

 private:
  void run(pid_t supervisor, std::promise<int> attached);
  void on_stop(pid_t pid, int status, pid_t supervisor);

  std::atomic<Fate> fate_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<pid_t> born_;
  std::thread thread_;
};

}  // namespace pgforeman::test
