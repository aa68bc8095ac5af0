#pragma once
// Random numbers that depend only on the seed. The distributions of the standard library may differ
// between machines.

#include <cstddef>
#include <cstdint>

namespace pgforeman::test {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  /// Returns the next word of the generator "splitmix64".
  std::uint64_t next() {
    std::uint64_t word = state_ += 0x9e3779b97f4a7c15U;
    word = (word ^ (word >> 30U)) * 0xbf58476d1ce4e5b9U;
    word = (word ^ (word >> 27U)) * 0x94d049bb133111ebU;
    return word ^ (word >> 31U);
  }
  /// Returns 0 to `count` - 1; `count` must not be 0.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }
  /// Returns at least 0 and less than 1.
  double part() { return static_cast<double>(next() >> 11U) / 9007199254740992.0; }
  double between(double least, double most) { return least + (most - least) * part(); }

 private:
  std::uint64_t state_;
};

}  // namespace pgforeman::test
