#include "maintenance/place_set.h"

#include <algorithm>
#include <iterator>

namespace pgforeman {

void PlaceSet::add(PlaceRange range) {
  if (range.above >= range.upto) return;
  auto at = upto_.upper_bound(range.above);
  if (at != upto_.begin() && std::prev(at)->second >= range.above) --at;
  while (at != upto_.end() && at->first <= range.upto) {
    range.above = std::min(range.above, at->first);
    range.upto = std::max(range.upto, at->second);
    at = upto_.erase(at);
  }
  upto_.emplace(range.above, range.upto);
}

void PlaceSet::remove(PlaceRange range) {
  if (range.above >= range.upto) return;
  auto at = upto_.upper_bound(range.above);
  if (at != upto_.begin()) --at;
  while (at != upto_.end() && at->first < range.upto) {
    const PlaceRange old{at->first, at->second};
    if (old.upto <= range.above) {
      ++at;
      continue;
    }
    at = upto_.erase(at);
    if (old.above < range.above) upto_.emplace(old.above, range.above);
    if (old.upto > range.upto) at = upto_.emplace(range.upto, old.upto).first;
  }
}

std::vector<PlaceRange> PlaceSet::lowest(std::int64_t most) const {
  std::vector<PlaceRange> ranges;
  for (const auto& [above, upto] : upto_) {
    const std::int64_t taken = ranges.empty() ? std::min(upto - above, most) : upto - above;
    if (taken > most) break;
    ranges.push_back({above, above + taken});
    most -= taken;
  }
  return ranges;
}

}  // namespace pgforeman
