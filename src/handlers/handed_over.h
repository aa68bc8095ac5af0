#pragma once
// The messages that a jsonl handler was given before they run: their lines are in its pipe, in this
// order, and it may have answered some already. Pure. Fork: after.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "pgforeman/message.h"

namespace pgforeman {

/// A message's line, and where it stands in all that the process was ever given.
struct HandedLine {
  Lease lease;
  std::string request;
  std::size_t begin = 0;
  std::optional<Outcome> outcome;  ///< answered before it was run

  std::size_t end() const { return begin + request.size(); }
};

class HandedOver {
 public:
  void add(HandedLine line) {
    tokens_[line.lease.id] = line.lease.token;
    lines_.push_back(std::move(line));
  }
  bool has(const Lease& lease) const {
    const auto found = tokens_.find(lease.id);
    return found != tokens_.end() && found->second == lease.token;
  }
  bool empty() const { return lines_.empty(); }
  std::size_t size() const { return lines_.size(); }
  /// The next to run is this one.
  bool begins_with(const Lease& lease) const {
    return !empty() && has(lease) && lines_.front().lease.id == lease.id;
  }
  bool front_is_answered() const { return answered_ > 0; }
  HandedLine take() {
    HandedLine line = std::move(lines_.front());
    lines_.pop_front();
    tokens_.erase(line.lease.id);
    if (answered_ > 0) --answered_;
    return line;
  }
  /// The next to be answered; nullptr: none.
  HandedLine* unanswered() { return answered_ < lines_.size() ? &lines_[answered_] : nullptr; }
  void answer(Outcome outcome) { lines_[answered_++].outcome = std::move(outcome); }
  /// The process is gone, and with it what it had not answered.
  void forget_unanswered() {
    while (lines_.size() > answered_) {
      tokens_.erase(lines_.back().lease.id);
      lines_.pop_back();
    }
  }

 private:
  std::deque<HandedLine> lines_;
  std::unordered_map<std::int64_t, std::int64_t> tokens_;  ///< by id
  std::size_t answered_ = 0;
};

}  // namespace pgforeman
