#pragma once
// Sets /proc/self/oom_score_adj. If memory runs out, the kernel kills higher scores first.

#include <array>

namespace pgforeman {

/// The score for handlers. It is higher than this process's score, so that the kernel kills a
/// handler rather than its consumer or the supervisor. It is never below the inherited score.
class HandlerOomScore {
 public:
  /// Reads this process's own score; if that fails, apply() does nothing.
  HandlerOomScore();
  /// Sets the calling process's score; ignores errors. Async-signal-safe: between vfork and exec.
  void apply() const noexcept;

 private:
  std::array<char, 8> text_{};
  unsigned size_ = 0;
};

}  // namespace pgforeman
