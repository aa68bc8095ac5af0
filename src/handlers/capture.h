#pragma once
// Bounded captures of a handler's output: its first bytes, its last bytes, its lines. Each uses a
// bounded amount of memory for any input. Values; not thread-safe.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "handlers/long_answer.h"
#include "handlers/text.h"

namespace pgforeman {

/// Keeps the first `limit` bytes.
class HeadCapture {
 public:
  explicit HeadCapture(std::size_t limit) : limit_(limit) {}
  void feed(std::string_view chunk) {
    // Four more bytes than the limit, so that text() can cut between characters after cleaning.
    const std::size_t room = limit_ + 4 - kept_.size();
    kept_ += chunk.substr(0, room);
  }
  /// Returns clean text, without white space at the end.
  std::string text() const { return std::string(trim_end(utf8_prefix(clean_text(kept_), limit_))); }

 private:
  std::size_t limit_;
  std::string kept_;
};

/// Keeps the last `limit` bytes, from the start of a line if there is one.
class TailCapture {
 public:
  explicit TailCapture(std::size_t limit) : limit_(limit) {}
  void feed(std::string_view chunk) {
    if (chunk.size() > keep()) chunk.remove_prefix(chunk.size() - keep());
    kept_ += chunk;
    // Moves the kept bytes once per `keep()` bytes of input, not at every call.
    if (kept_.size() > 2 * keep()) kept_.erase(0, kept_.size() - keep());
  }
  void clear() { kept_.clear(); }
  /// Returns clean text, without white space at the end.
  std::string text() const {
    const std::string clean = clean_text(trim_end(kept_));
    return std::string(last_lines(clean, limit_));
  }

 private:
  /// Four more bytes than the limit, so that text() makes the cut, after cleaning.
  std::size_t keep() const { return limit_ + 4; }

  std::size_t limit_;
  std::string kept_;
};

/// Splits a stream into lines. A line of more than `limit` bytes is kept only if it begins with
/// '{', and then in part: see LongAnswer.
class LineSplitter {
 public:
  explicit LineSplitter(std::size_t limit) : limit_(limit) {}

  /// Calls `on_line(line)` for each complete line, without its newline. Returns false if a line is
  /// too long: the splitter must then be cleared before the next feed().
  template <typename OnLine>
  bool feed(std::string_view chunk, OnLine on_line) {
    for (std::size_t newline = chunk.find('\n'); newline != std::string_view::npos;
         newline = chunk.find('\n')) {
      if (!add(chunk.substr(0, newline))) return false;
      chunk.remove_prefix(newline + 1);
      // The line is moved out first, because the callback may call partial().
      std::string line = std::move(partial_);
      if (long_) line = long_->text();
      clear();
      on_line(std::string_view(line));
    }
    return add(chunk);
  }

  /// Returns the bytes after the last newline; of a line over the limit, only the beginning.
  const std::string& partial() const { return partial_; }
  void clear() {
    partial_.clear();
    long_.reset();
  }

 private:
  bool add(std::string_view part) {
    if (long_) return long_->feed(part);
    if (partial_.size() + part.size() <= limit_) {
      partial_ += part;
      return true;
    }
    const std::string& begin = partial_;
    const std::size_t first = begin.find_first_not_of(" \t\r");
    const char front = first != std::string::npos ? begin[first] : part.empty() ? ' ' : part[0];
    if (front != '{') return false;
    long_.emplace(limit_);
    return long_->feed(partial_) && long_->feed(part);
  }

  std::size_t limit_;
  std::string partial_;
  std::optional<LongAnswer> long_;
};

}  // namespace pgforeman
