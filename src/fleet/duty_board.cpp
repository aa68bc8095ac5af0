#include "fleet/duty_board.h"

#include <algorithm>

namespace pgforeman {

void DutyBoard::failed(Duty duty, std::string_view reason, TimePoint now) {
  State& state = of(duty);
  state.reason.store(reason);
  state.failures.fetch_add(1);
  std::int64_t works = 0;
  state.failing_since_ms.compare_exchange_strong(works, to_ms(now));
}

DutyReading DutyBoard::read(Duty duty) const {
  const State& state = of(duty);
  DutyReading reading{
      std::max<std::int64_t>(0, state.failing_since_ms.load()), state.failures.load(), {}};
  if (reading.failing_since_ms != 0) reading.reason = state.reason.load();
  return reading;
}

}  // namespace pgforeman
