#pragma once
// Where log lines go: a descriptor that is written without ever blocking. Fork: either.

#include <cstddef>
#include <string_view>

#include "system/fd.h"

namespace pgforeman::log {

class LineSink {
 public:
  /// Lines longer than this could tear on a pipe shared by several processes (PIPE_BUF).
  static constexpr std::size_t kMaxLine = 4096;

  /// Reopens `fd` privately and non-blocking where that is possible; O_NONBLOCK is never set on
  /// the inherited description, which belongs to others, too.
  explicit LineSink(int fd);

  /// Writes `line` (its newline included) whole or not at all. False: it was dropped.
  bool write(std::string_view line);

  int descriptor() const { return own_ ? own_.get() : fd_; }

 private:
  enum class Kind { plain, nonblocking, socket, poll_first };
  int fd_;
  UniqueFd own_;
  Kind kind_ = Kind::plain;
};

}  // namespace pgforeman::log
