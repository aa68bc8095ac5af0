#include "consumer/recycling.h"

#include <unistd.h>

#include <chrono>

#include "base/log.h"
#include "base/resident.h"

namespace pgforeman {
namespace {

// A measurement costs tens of microseconds, more than some handlers take for a message; nothing
// that leaks does so faster than it could be replaced.
constexpr std::chrono::seconds kBetweenLooks{1};

}  // namespace

Recycling::Recycling(const ChildContext& context)
    : slot_(context.scoreboard->slot(context.slot)),
      most_messages_(message_limit(context.options->max_messages, context.slot)),
      most_bytes_(context.options->max_memory.bytes) {}

void Recycling::count_message() {
  ++messages_;
  unmeasured_ = true;
  if (most_messages_ == 0 || messages_ < most_messages_) return;
  wish({RecycleReason::messages, messages_}, most_messages_);
}

/// What an idle child holds does not change, so it is measured once and left alone.
void Recycling::look(TimePoint now, const std::vector<pid_t>& handlers) {
  if (most_bytes_ == 0 || wished_ || !unmeasured_) return;
  if (measured_at_ && now - *measured_at_ < kBetweenLooks) return;
  measured_at_ = now;
  unmeasured_ = false;
  std::int64_t bytes = resident_bytes(::getpid());
  for (const pid_t handler : handlers) bytes += resident_bytes_of_tree(handler);
  if (bytes > most_bytes_) wish({RecycleReason::memory, bytes}, most_bytes_);
}

void Recycling::wish(const RecycleWish& wish, std::int64_t limit) {
  if (wished_) return;
  wished_ = true;
  slot_.wish(wish);
  const bool memory = wish.reason == RecycleReason::memory;
  log::info("child reached its limit, it works on until it is replaced",
            {{"option", memory ? "MAX_MEMORY" : "MAX_MESSAGES"},
             {"limit", limit},
             {"value", wish.value},
             {"messages", messages_}});
}

}  // namespace pgforeman
