#include "fleet/duty_board.h"

#include <algorithm>

namespace pgforeman {

void DutyBoard::failed(Duty duty, std::string_view reason, TimePoint now) {
  State& state = of(duty);
  for (std::size_t i = 0; i < state.reason.size(); ++i) {
    const bool last = i + 1 == state.reason.size();
    state.reason[i].store(i < reason.size() && !last ? reason[i] : '\0', std::memory_order_relaxed);
  }
  state.failures.fetch_add(1);
  std::int64_t works = 0;
  state.failing_since_ms.compare_exchange_strong(works, to_ms(now));
}

DutyReading DutyBoard::read(Duty duty) const {
  const State& state = of(duty);
  DutyReading reading{std::max<std::int64_t>(0, state.failing_since_ms.load()),
                      state.failures.load(),
                      state.refused.load(),
                      {}};
  if (reading.failing_since_ms == 0) return reading;
  for (const auto& letter : state.reason) {
    const char c = letter.load(std::memory_order_relaxed);
    if (c == '\0') break;
    reading.reason += c;
  }
  return reading;
}

}  // namespace pgforeman
