#include "maintenance/refusals.h"

#include "system/log.h"

namespace pgforeman {
namespace {

constexpr Millis kLeftOutFor{60'000};
constexpr std::size_t kMost = 1000;

}  // namespace

void Refusals::add(const std::vector<std::int64_t>& ids, const std::string& reason, TimePoint now) {
  if (ids.empty()) return;
  board_.refused(duty_, ids.size());
  for (const std::int64_t id : ids) {
    const log::MessageScope scope(id, 0);
    log::error("message refused by the database, left out for a minute",
               {{"duty", to_string(duty_)}, {"reason", reason}});
    if (until_.size() < kMost) until_[id] = now + kLeftOutFor;
  }
}

bool Refusals::expire(TimePoint now) {
  return std::erase_if(until_, [now](const auto& each) { return each.second <= now; }) > 0;
}

std::vector<std::int64_t> Refusals::current() const {
  std::vector<std::int64_t> ids;
  for (const auto& [id, until] : until_) ids.push_back(id);
  return ids;
}

}  // namespace pgforeman
