#pragma once
// Places: the order in which claims take messages, the lowest first. A place is a lane and a
// number. There are two lanes a priority: the first for messages that came back (retried, released,
// promoted), the second for fresh ones. Each send and each return draws a new number. Plain values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace pgforeman {

inline constexpr std::size_t kLanes = 8;
inline constexpr int kNumberBits = 56;
inline constexpr std::int64_t kMaxNumber = (std::int64_t{1} << kNumberBits) - 1;

/// `number` is cut to 0 to kMaxNumber.
constexpr std::int64_t place_of(std::size_t lane, std::int64_t number) {
  const std::int64_t cut = number < 0 ? 0 : number > kMaxNumber ? kMaxNumber : number;
  return (static_cast<std::int64_t>(lane) << kNumberBits) + cut;
}

/// kLanes or more for a place that no function of the queue gave.
constexpr std::size_t lane_of(std::int64_t place) {
  return static_cast<std::size_t>(static_cast<std::uint64_t>(place) >> kNumberBits);
}

constexpr std::int64_t number_of(std::int64_t place) {
  return place & kMaxNumber;
}

/// The places above `above` up to `upto`.
struct PlaceRange {
  std::int64_t above = 0;
  std::int64_t upto = 0;
  bool operator==(const PlaceRange&) const = default;
};

/// Low-water marks: of each lane, the number up to which claims skip messages; 0: they skip none. A
/// hint: sweeps give a message that becomes claimable below its lane's mark a new place.
using Marks = std::array<std::int64_t, kLanes>;

/// The ranges above the marks, one for each lane.
std::vector<PlaceRange> lanes_above(const Marks& marks);

/// The same places in as few ranges as possible: each costs a claim a search in the index.
std::vector<PlaceRange> ranges_above(const Marks& marks);

}  // namespace pgforeman
