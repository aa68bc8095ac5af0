#pragma once
// Reads lines from a descriptor. ready() returns whether the next one is there, so that a batch is
// sent when its producer pauses, not when the batch is full.

#include <cstddef>
#include <optional>
#include <string>

namespace pgforeman {

class LineInput {
 public:
  explicit LineInput(int fd) : fd_(fd) {}

  /// The next line without its end, waiting for it; nothing at the end of input. Throws
  /// std::runtime_error when reading fails or a line is longer than kMaxLine.
  std::optional<std::string> next();

  /// True when a whole line, or the end, is there within `milliseconds`; -1: waits for it.
  bool ready(int milliseconds);

  static constexpr std::size_t kMaxLine = 64 * 1024 * 1024;

 private:
  void fill();

  int fd_;
  std::string buffer_;
  std::size_t start_ = 0;    ///< first byte not returned yet
  std::size_t scanned_ = 0;  ///< no newline before this
  bool ended_ = false;
};

}  // namespace pgforeman
