#pragma once
#include "fleet/place.h"

namespace pgforeman {

/// The marks of a fleet whose claims came to this number of the usual priority's fresh lane.
inline Marks fresh_mark(std::int64_t number) {
  Marks marks{};
  marks[5] = number;
  return marks;
}

}  // namespace pgforeman
