#pragma once
// A short text in shared memory. While it is written readers may get a mixture of two texts; each
// decides which bytes it accepts. Written and read without order. Fork: before.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

template <std::size_t Size>
class SharedText {
 public:
  static constexpr std::size_t kMostBytes = Size - 1;  ///< longer texts are cut

  void store(std::string_view text) {
    const std::size_t size = std::min(text.size(), kMostBytes);
    for (std::size_t i = 0; i < size; ++i) bytes_[i].store(text[i], std::memory_order_relaxed);
    bytes_[size].store('\0', std::memory_order_relaxed);
  }
  std::string load() const {
    std::string text;
    for (const auto& byte : bytes_) {
      const char c = byte.load(std::memory_order_relaxed);
      if (c == '\0') break;
      text += c;
    }
    return text;
  }

 private:
  std::array<std::atomic<char>, Size> bytes_;
};

}  // namespace pgforeman
