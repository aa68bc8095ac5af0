#include "system/log_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

namespace pgforeman::log {

LineSink::LineSink(int fd) : fd_(fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return;
  if (S_ISSOCK(info.st_mode)) {
    kind_ = Kind::socket;
  } else if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
    // Opens a new file description, to set O_NONBLOCK only here. Fails for another user's pipe.
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    own_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    kind_ = own_ ? Kind::nonblocking : Kind::poll_first;
  }
  // A regular file keeps the inherited description, because a new one would have its own offset.
}

bool LineSink::write(std::string_view line) {
  const int fd = descriptor();
  if (kind_ == Kind::poll_first) {
    // POLLOUT means that PIPE_BUF bytes fit. The write blocks only if another process fills them.
    struct pollfd ready = {fd, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  }
  ssize_t written = 0;
  do {
    written = kind_ == Kind::socket
                  ? ::send(fd, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                  : ::write(fd, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  return written == static_cast<ssize_t>(line.size());
}

}  // namespace pgforeman::log
