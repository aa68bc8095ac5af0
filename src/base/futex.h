#pragma once
// Waiting on a word of shared memory, also of another process. (std::atomic's own wait is for the
// threads of one process.) Fork: before or after.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace pgforeman {

/// Until somebody wakes it, for `time` at most, or not at all if the word is not `expected` any
/// more; may also end for no reason.
inline void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, Millis time) {
  struct timespec left {};
  left.tv_sec = time.count() / 1000;
  left.tv_nsec = (time.count() % 1000) * 1'000'000;
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &left, nullptr, 0);
}

/// One of those who wait.
inline void futex_wake(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace pgforeman
