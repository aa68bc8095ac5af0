#include "maintenance/refusals.h"

#include <algorithm>

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kLeftOutFor{2000}, kLeftOutForMost{60'000};

}  // namespace

void Refusals::add(const Refused& refused, TimePoint now) {
  if (refused.ids.empty()) return;
  if (refused.blamed) {
    tools_.queue().refused.add(duty_ == Duty::sweep ? RefusedChange::sweep : RefusedChange::promote,
                               refused.ids.size());
  }
  for (const std::int64_t id : refused.ids) {
    const Millis wait = leave_out(id, refused.blamed, now);
    // Those that cannot be remembered come again at once: their lines would fill the log.
    if (!refused.blamed || !messages_.contains(id)) continue;
    const log::MessageScope scope(id, 0);
    log::error(
        "message refused by the database, left out for some seconds",
        {{"duty", to_string(duty_)}, {"seconds", wait.count() / 1000}, {"reason", refused.reason}});
  }
  if (refused.blamed) return;
  const log::MessageScope scope(refused.ids.front(), 0);
  tools_.duty_failed(duty_, refused.reason);
}

Millis Refusals::leave_out(std::int64_t id, bool blamed, TimePoint now) {
  const auto known = messages_.find(id);
  const bool is_new = known == messages_.end();
  const Millis wait =
      is_new || !blamed ? kLeftOutFor : std::min(2 * known->second.wait, kLeftOutForMost);
  if (!is_new || !is_full()) messages_[id] = {wait, now + wait, true, blamed};
  return wait;
}

bool Refusals::expire(TimePoint now) {
  bool any = false;
  for (auto& [id, message] : messages_) {
    any = any || (message.left_out && message.until <= now);
    message.left_out = message.left_out && message.until > now;
  }
  std::erase_if(messages_, [now](const auto& each) {
    const Message& message = each.second;
    return !message.left_out && (!message.blamed || message.until + kLeftOutForMost <= now);
  });
  return any;
}

std::vector<std::int64_t> Refusals::current() const {
  std::vector<std::int64_t> ids;
  for (const auto& [id, message] : messages_) {
    if (message.left_out) ids.push_back(id);
  }
  return ids;
}

bool Refusals::any_without_fault() const {
  return std::any_of(messages_.begin(), messages_.end(),
                     [](const auto& each) { return each.second.left_out && !each.second.blamed; });
}

}  // namespace pgforeman
