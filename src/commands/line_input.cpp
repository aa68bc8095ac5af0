#include "commands/line_input.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace pgforeman {

bool LineInput::fill() {
  std::array<char, 64 * 1024> chunk;
  ssize_t size = 0;
  do {
    size = ::read(fd_, chunk.data(), chunk.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) throw std::system_error(errno, std::generic_category(), "reading the input");
  if (size == 0) {
    ended_ = true;
    return false;
  }
  if (start_ > 0) {
    buffer_.erase(0, start_);
    scanned_ -= start_;
    start_ = 0;
  }
  buffer_.append(chunk.data(), static_cast<std::size_t>(size));
  if (buffer_.size() > kMaxLine) throw std::runtime_error("a line is longer than 64 MiB");
  return true;
}

std::optional<std::string> LineInput::next() {
  for (;;) {
    const auto end = buffer_.find('\n', scanned_);
    if (end != std::string::npos || (ended_ && start_ < buffer_.size())) {
      const auto stop = end == std::string::npos ? buffer_.size() : end;
      std::string line = buffer_.substr(start_, stop - start_);
      start_ = scanned_ = end == std::string::npos ? stop : end + 1;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    if (ended_) return std::nullopt;
    scanned_ = buffer_.size();
    fill();
  }
}

bool LineInput::ready(int milliseconds) {
  while (!ended_ && buffer_.find('\n', scanned_) == std::string::npos) {
    struct pollfd wait {
      fd_, POLLIN, 0
    };
    if (::poll(&wait, 1, milliseconds) == 0) return false;
    scanned_ = buffer_.size();
    fill();
  }
  return true;
}

}  // namespace pgforeman
