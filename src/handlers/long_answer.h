#pragma once
// An answer of many MiB, read as it comes: its short fields are kept, of a long one the beginning.
// Values; not thread-safe.

#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

class LongAnswer {
 public:
  /// Keeps `limit` bytes at most, a few more than that for the field that is cut.
  explicit LongAnswer(std::size_t limit) : limit_(limit) {}

  /// The next bytes of the line. False: it has no meaning as an object with values that could be
  /// cut, or is longer than 64 MiB.
  bool feed(std::string_view chunk);
  /// The line, with strings of their first 8 KiB in place of values that were too long.
  const std::string& text() const { return kept_; }

 private:
  bool add(char c);
  void follow(char c);
  void cut_value();

  std::size_t limit_;
  std::size_t seen_ = 0;
  std::string kept_;
  std::size_t value_at_ = 0;  ///< where the value of the outermost object begins; 0: in none
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
  bool skipping_ = false;  ///< inside a value that was cut
};

}  // namespace pgforeman
