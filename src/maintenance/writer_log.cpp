#include "maintenance/writer_log.h"

#include <algorithm>
#include <utility>

namespace pgforeman {

WriterLog::News WriterLog::learn(const OpenWriters& view) {
  News news{before_last_, {}};
  std::map<std::int64_t, Base> open;
  for (const std::int64_t writer : view.open) {
    const auto known = open_.find(writer);
    // proves: P38 base
    open.emplace(writer, known != open_.end() ? known->second : before_last_);
  }
  for (const auto& [writer, base] : open_) {
    if (!open.contains(writer)) news.ended.push_back(base);
  }
  open_ = std::move(open);
  before_last_ = std::exchange(last_, {view.highest, view.at_us});
  views_ = std::min(2, views_ + 1);
  return news;
}

bool WriterLog::may_appear(std::int64_t number, std::int64_t due_us) const {
  const auto may = [&](const Base& base) { return base.number < number || base.due_us < due_us; };
  return before_last_.number < number ||
         std::any_of(open_.begin(), open_.end(), [&](const auto& o) { return may(o.second); });
}

void WriterLog::forget_times() {
  last_.due_us = before_last_.due_us = 0;
  for (auto& [writer, base] : open_) base.due_us = 0;
}

}  // namespace pgforeman
