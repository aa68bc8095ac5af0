#pragma once
// A set of places, as ranges that do not touch. Pure.

#include <cstdint>
#include <map>
#include <vector>

#include "fleet/place.h"

namespace pgforeman {

class PlaceSet {
 public:
  void add(PlaceRange range);
  void remove(PlaceRange range);
  void clear() { upto_.clear(); }
  bool empty() const { return upto_.empty(); }
  /// Returns the lowest ranges that have `most` places in all, but at least that much of the first.
  std::vector<PlaceRange> lowest(std::int64_t most) const;

 private:
  std::map<std::int64_t, std::int64_t> upto_;  ///< the ends of the ranges, by what they are above
};

}  // namespace pgforeman
