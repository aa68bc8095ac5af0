#pragma once
// Searches the output of an exec handler for an answer of the jsonl contract: the likeliest mistake
// of all is a mode that was not set, and such a handler exits with code 0 whatever it answers.
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
    if (found_ || looked_at_ > kMost) return;
    looked_at_ += chunk.size();
    if (!lines_.feed(chunk, [this](std::string_view line) { look(line); })) lines_.clear();
  }
  /// At the end of the output, too: the last line may have no newline.
  bool found() const { return found_ || looks_like_answer(lines_.partial()); }
  const std::string& line() const { return found_ ? line_ : lines_.partial(); }

 private:
  static constexpr std::size_t kMost = std::size_t{4} * 1024 * 1024;

  void look(std::string_view line) {
    if (found_ || !looks_like_answer(line)) return;
    found_ = true;
    line_ = line;
  }

  LineSplitter lines_{std::size_t{64} * 1024};
  std::size_t looked_at_ = 0;
  bool found_ = false;
  std::string line_;
};

}  // namespace pgforeman
