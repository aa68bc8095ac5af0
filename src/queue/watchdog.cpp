#include "queue/watchdog.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>

namespace pgforeman {

namespace {

const int kWatchdogSignal = SIGRTMIN + 3;
// Times that a call goes on as data still arrives: minutes, or hours over a slow link.
constexpr int kLongest = 1000;
constexpr Millis kShortest{50};

void set_time(timer_t timer, Millis limit) noexcept {
  struct itimerspec spec {};
  spec.it_value.tv_sec = limit.count() / 1000;
  spec.it_value.tv_nsec = (limit.count() % 1000) * 1'000'000;
  ::timer_settime(timer, 0, &spec, nullptr);
}

/// How long ago the last data came. Nothing where the kernel does not know: on a local socket.
std::optional<Millis> silence_of(int fd) noexcept {
  struct tcp_info info {};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return Millis{info.tcpi_last_data_recv};
}

}  // namespace

Watchdog::~Watchdog() {
  if (thread_ != 0) ::timer_delete(timer_);
}

void Watchdog::on_signal(int, siginfo_t* info, void*) {
  if (info->si_code != SI_TIMER) return;
  const int saved_errno = errno;
  auto* self = static_cast<Watchdog*>(info->si_value.sival_ptr);
  const int fd = self->fd_.load(std::memory_order_relaxed);
  const auto silence = fd >= 0 ? silence_of(fd) : std::nullopt;
  if (silence && *silence < self->limit_ && ++self->rounds_ < kLongest) {
    if (self->progress_ != nullptr) self->progress_(self->context_);
    set_time(self->timer_, std::max(self->limit_ - *silence, kShortest));
  } else if (fd >= 0) {
    self->fired_.store(true, std::memory_order_relaxed);
    ::shutdown(fd, SHUT_RDWR);
  }
  errno = saved_errno;
}

void Watchdog::make_timer() {
  struct sigaction action {};
  action.sa_sigaction = &Watchdog::on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  ::sigaction(kWatchdogSignal, &action, nullptr);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, kWatchdogSignal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);

  // Signals this thread only: then no signal arrives after disarm() has returned. So the handler
  // cannot shut down a descriptor that was closed and its number used again.
  struct sigevent event {};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = kWatchdogSignal;
  event.sigev_value.sival_ptr = this;
#ifdef sigev_notify_thread_id
  event.sigev_notify_thread_id = ::gettid();
#else
  event._sigev_un._tid = ::gettid();
#endif
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
    throw std::system_error(errno, std::generic_category(), "a timer for the database connection");
  }
  thread_ = ::gettid();
}

void Watchdog::arm(int fd, Millis limit) {
  fired_.store(false, std::memory_order_relaxed);
  if (limit.count() <= 0 || fd < 0) return;
  if (thread_ != ::gettid()) {
    if (thread_ != 0) ::timer_delete(timer_);
    thread_ = 0;
    make_timer();
  }
  limit_ = limit;
  rounds_ = 0;
  fd_.store(fd, std::memory_order_relaxed);
  set_time(timer_, limit);
}

void Watchdog::disarm() noexcept {
  if (fd_.load(std::memory_order_relaxed) < 0) return;
  fd_.store(-1, std::memory_order_relaxed);
  set_time(timer_, Millis{0});
}

}  // namespace pgforeman
