#pragma once
// Searches the output of an exec handler for a jsonl answer. The likeliest mistake of all is to
// forget HANDLER_MODE=jsonl, and a jsonl handler exits with code 0 whatever it answers.
// Value; not thread-safe.

#include <cstddef>
#include <string>
#include <string_view>

#include "handlers/capture.h"
#include "handlers/json_line.h"

namespace pgforeman {

class AnswerWatch {
 public:
  void feed(std::string_view chunk) {
    if (found_ || scanned_bytes_ > kMaxScanned) return;
    scanned_bytes_ += chunk.size();
    if (!lines_.feed(chunk, [this](std::string_view line) { scan(line); })) lines_.clear();
  }
  /// True if a line was an answer; also checks an unfinished last line.
  bool found() const { return found_ || looks_like_answer(lines_.partial()); }
  const std::string& line() const { return found_ ? line_ : lines_.partial(); }

 private:
  static constexpr std::size_t kMaxScanned = std::size_t{4} * 1024 * 1024;

  void scan(std::string_view line) {
    if (found_ || !looks_like_answer(line)) return;
    found_ = true;
    line_ = line;
  }

  LineSplitter lines_{std::size_t{64} * 1024};
  std::size_t scanned_bytes_ = 0;
  bool found_ = false;
  std::string line_;
};

}  // namespace pgforeman
