#include "commands/line_input.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace pgforeman {

void LineInput::fill() {
  std::array<char, 64 * 1024> chunk;
  ssize_t size = 0;
  do {
    size = ::read(fd_, chunk.data(), chunk.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0) throw std::system_error(errno, std::generic_category(), "reading the input");
  ended_ = size == 0;
  buffer_.erase(0, start_);
  scanned_ -= start_;
  start_ = 0;
  buffer_.append(chunk.data(), static_cast<std::size_t>(size));
  if (buffer_.size() > kMaxLine) throw std::runtime_error("a line is longer than 64 MiB");
}

std::optional<std::string> LineInput::next() {
  ready(-1);
  if (start_ == buffer_.size()) return std::nullopt;
  const std::size_t end = std::min(buffer_.find('\n', scanned_), buffer_.size());
  std::string line = buffer_.substr(start_, end - start_);
  start_ = scanned_ = std::min(end + 1, buffer_.size());
  if (line.ends_with('\r')) line.pop_back();
  return line;
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
