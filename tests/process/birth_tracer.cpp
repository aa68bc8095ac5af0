#include "process/birth_tracer.h"

#include <poll.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <stdexcept>

namespace pgforeman::test {

BirthTracer::BirthTracer(pid_t supervisor, Fate fate) : fate_(fate) {
  std::promise<int> attached;
  auto error = attached.get_future();
  // Everything about a tracee is asked from the thread that traces it.
  thread_ = std::thread([this, supervisor, promise = std::move(attached)]() mutable {
    run(supervisor, std::move(promise));
  });
  if (const int failed = error.get(); failed != 0) {
    thread_.join();
    throw std::runtime_error(std::string("ptrace is not allowed here: ") + std::strerror(failed));
  }
}

BirthTracer::~BirthTracer() {
  end();
}

void BirthTracer::end() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();  // its end lets go of all tracees
}

std::vector<pid_t> BirthTracer::born() const {
  const std::lock_guard lock(mutex_);
  return born_;
}

void BirthTracer::run(pid_t supervisor, std::promise<int> attached) {
  const long result = ::ptrace(PTRACE_SEIZE, supervisor, nullptr, PTRACE_O_TRACEFORK);
  attached.set_value(result == 0 ? 0 : errno);
  if (result != 0) return;
  while (!stop_) {
    int status = 0;
    // Not the whole process's children: other threads wait for theirs.
    const pid_t pid = ::waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG);
    if (pid > 0) {
      if (WIFSTOPPED(status)) on_stop(pid, status, supervisor);
    } else {
      ::poll(nullptr, 0, 1);
    }
  }
}

void BirthTracer::on_stop(pid_t pid, int status, pid_t supervisor) {
  const int event = status >> 16;
  if (pid == supervisor) {
    const int signal = event != 0 || WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    ::ptrace(PTRACE_CONT, pid, nullptr, signal);
    return;
  }
  const Fate fate = fate_;  // before another thread sees the child and changes it
  {
    const std::lock_guard lock(mutex_);
    born_.push_back(pid);
  }
  switch (fate) {
    case Fate::live:
      ::ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
      break;
    case Fate::die:
      ::kill(pid, SIGKILL);
      break;
    case Fate::hang:
      break;  // stays stopped
  }
}

}  // namespace pgforeman::test
