#include "maintenance/refusals.h"

#include <algorithm>

#include "system/log.h"

namespace pgforeman {
namespace {

// At first short, as a disk may be full just now.
constexpr Millis kLeftOutFor{2000}, kLeftOutForMost{60'000};
constexpr std::size_t kMost = 1000;

}  // namespace

void Refusals::add(const std::vector<std::int64_t>& ids, const std::string& reason, TimePoint now) {
  if (ids.empty()) return;
  board_.refused(duty_, ids.size());
  for (const std::int64_t id : ids) {
    const Millis wait = leave_out(id, now);
    const log::MessageScope scope(id, 0);
    log::error("message refused by the database, left out for some seconds",
               {{"duty", to_string(duty_)}, {"seconds", wait.count() / 1000}, {"reason", reason}});
  }
}

Millis Refusals::leave_out(std::int64_t id, TimePoint now) {
  const auto known = messages_.find(id);
  const bool is_new = known == messages_.end();
  const Millis wait = is_new ? kLeftOutFor : std::min(2 * known->second.wait, kLeftOutForMost);
  if (!is_new || messages_.size() < kMost) messages_[id] = {wait, now + wait, true};
  return wait;
}

bool Refusals::expire(TimePoint now) {
  bool any = false;
  for (auto& [id, message] : messages_) {
    any = any || (message.left_out && message.until <= now);
    message.left_out = message.left_out && message.until > now;
  }
  std::erase_if(messages_,
                [now](const auto& each) { return each.second.until + kLeftOutForMost <= now; });
  return any;
}

std::vector<std::int64_t> Refusals::current() const {
  std::vector<std::int64_t> ids;
  for (const auto& [id, message] : messages_) {
    if (message.left_out) ids.push_back(id);
  }
  return ids;
}

}  // namespace pgforeman
