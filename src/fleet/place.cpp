#include "fleet/place.h"

#include <limits>

namespace pgforeman {

std::vector<PlaceRange> lanes_above(const Marks& marks) {
  std::vector<PlaceRange> lanes;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    lanes.push_back({place_of(lane, marks[lane]), place_of(lane + 1, 0)});
  }
  lanes.back().upto = std::numeric_limits<std::int64_t>::max();
  return lanes;
}

std::vector<PlaceRange> ranges_above(const Marks& marks) {
  std::vector<PlaceRange> ranges;
  for (const PlaceRange& lane : lanes_above(marks)) {
    if (!ranges.empty() && ranges.back().upto == lane.above) {
      ranges.back().upto = lane.upto;
    } else {
      ranges.push_back(lane);
    }
  }
  return ranges;
}

}  // namespace pgforeman
