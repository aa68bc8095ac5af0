#pragma once
// Writes log lines to a descriptor without blocking. Fork: either.

#include <cstddef>
#include <string_view>

#include "system/fd.h"

namespace pgforeman::log {

class LineSink {
 public:
  /// PIPE_BUF: longer lines of several processes could mix on a shared pipe.
  static constexpr std::size_t kMaxLine = 4096;

  /// Reopens `fd` as non-blocking if possible. Never sets O_NONBLOCK on the inherited file
  /// description, because other processes use it, too.
  explicit LineSink(int fd);

  /// Writes `line`, with its newline, whole or not at all. Returns false if the line was dropped.
  bool write(std::string_view line);

  int descriptor() const { return own_ ? own_.get() : fd_; }

 private:
  enum class Kind { plain, nonblocking, socket, poll_first };
  int fd_;
  UniqueFd own_;
  Kind kind_ = Kind::plain;
};

}  // namespace pgforeman::log
