#pragma once
// Reads an answer of many MiB in chunks; keeps its short fields, and the beginning of a long one.
// Values; not thread-safe.

#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

class LongAnswer {
 public:
  /// Keeps `limit` bytes at most, plus a few for the end of the field that is cut.
  explicit LongAnswer(std::size_t limit) : limit_(limit) {}

  /// Takes the next bytes of the line. Returns false if the line is longer than 64 MiB, or too long
  /// even with its values cut.
  bool feed(std::string_view chunk);
  /// Returns the line; a value that was too long is a string of its first 8 KiB.
  const std::string& text() const { return kept_; }

 private:
  bool add(char c);
  void follow(char c);
  void cut_value();

  std::size_t limit_;
  std::size_t seen_ = 0;
  std::string kept_;
  std::size_t value_at_ = 0;  ///< start in kept_ of the outermost object's current value; 0: none
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
  bool skipping_ = false;  ///< true inside the rest of a value that was cut
};

}  // namespace pgforeman
