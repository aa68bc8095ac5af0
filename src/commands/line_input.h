#pragma once
// Reads lines from a descriptor. ready() tells whether a line is there, so that a batch can be sent
// when the input pauses, before the batch is full.

#include <cstddef>
#include <optional>
#include <string>

namespace pgforeman {

class LineInput {
 public:
  explicit LineInput(int fd) : fd_(fd) {}

  /// Waits for the next line and returns it without its line end; nothing at the end of input.
  /// Throws std::runtime_error if reading fails or a line is longer than kMaxLine.
  std::optional<std::string> next();

  /// True if a whole line or the end of input arrives within `milliseconds` (-1: no limit). Throws
  /// as next().
  bool ready(int milliseconds);

  static constexpr std::size_t kMaxLine = 64 * 1024 * 1024;

 private:
  void fill();

  int fd_;
  std::string buffer_;
  std::size_t start_ = 0;    ///< first byte not returned yet
  std::size_t scanned_ = 0;  ///< no newline in the unread bytes before this
  bool ended_ = false;
};

}  // namespace pgforeman
