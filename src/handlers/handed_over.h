#pragma once
// The messages that a jsonl handler was given before they run: their lines are in its pipe, in this
// order, and it may have answered some already. Pure. Fork: after.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "pgforeman/message.h"

namespace pgforeman {

/// A message's line, and where it stands in all that the process was ever given.
struct HandedLine {
  std::int64_t id = 0;
  std::string request;
  std::size_t begin = 0;
  std::optional<Outcome> outcome;  ///< answered before it was run

  std::size_t end() const { return begin + request.size(); }
};

class HandedOver {
 public:
  void add(HandedLine line) { lines_.push_back(std::move(line)); }
  bool empty() const { return lines_.empty(); }
  std::size_t size() const { return lines_.size(); }
  /// The next to run.
  const HandedLine& front() const { return lines_.front(); }
  HandedLine take() {
    HandedLine line = std::move(lines_.front());
    lines_.pop_front();
    if (answered_ > 0) --answered_;
    return line;
  }
  /// The next to be answered; nullptr: none.
  HandedLine* unanswered() { return answered_ < lines_.size() ? &lines_[answered_] : nullptr; }
  void answer(Outcome outcome) { lines_[answered_++].outcome = std::move(outcome); }
  /// The process is gone, and with it what it had not answered.
  void forget_unanswered() { lines_.resize(answered_); }

 private:
  std::deque<HandedLine> lines_;
  std::size_t answered_ = 0;
};

}  // namespace pgforeman
