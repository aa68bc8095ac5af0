#pragma once
// How much rather than others a process is ended when memory runs out: /proc/self/oom_score_adj.

#include <array>

namespace pgforeman {

/// What handlers get: more than this process has, so that the kernel ends a handler rather than its
/// consumer or the supervisor. Never less than what is inherited.
class HandlerOomScore {
 public:
  /// Reads this process's own; where it cannot be read nothing is written.
  HandlerOomScore();
  /// For the calling process. Async-signal-safe: between vfork and exec. A refusal is ignored.
  void apply() const noexcept;

 private:
  std::array<char, 8> text_{};
  unsigned size_ = 0;
};

}  // namespace pgforeman
