#include "consumer/recycling.h"

#include <unistd.h>

#include <chrono>

#include "system/log.h"
#include "system/resident.h"

namespace pgforeman {
namespace {

// A measurement costs tens of microseconds, more than some handlers take for a message. Once a
// second is enough: no leak is faster than a child can be replaced.
constexpr std::chrono::seconds kBetweenMeasurements{1};

}  // namespace

Recycling::Recycling(const ChildContext& context, ChildLoop& loop)
    : loop_(loop),
      most_messages_(message_limit(context.options->max_messages, context.slot)),
      most_bytes_(context.options->max_memory.bytes) {}

void Recycling::count_message() {
  ++messages_;
  unmeasured_ = true;
  if (most_messages_ == 0 || messages_ < most_messages_) return;
  end({ReachedLimit::Option::messages, messages_}, most_messages_);
}

/// An idle child is measured once: what it holds does not change.
void Recycling::measure(TimePoint now, const std::vector<pid_t>& handlers) {
  if (most_bytes_ == 0 || !unmeasured_) return;
  if (measured_at_ && now - *measured_at_ < kBetweenMeasurements) return;
  measured_at_ = now;
  unmeasured_ = false;
  std::int64_t bytes = resident_bytes(::getpid());
  for (const pid_t handler : handlers) bytes += resident_bytes_of_tree(handler);
  if (bytes > most_bytes_) end({ReachedLimit::Option::memory, bytes}, most_bytes_);
}

void Recycling::end(const ReachedLimit& reached, std::int64_t limit) {
  if (loop_.draining()) return;
  loop_.slot().reached_limit.store(reached.word());
  loop_.drain();
  const bool memory = reached.option == ReachedLimit::Option::memory;
  log::info("child reached its limit, it ends and is replaced",
            {{"option", memory ? "MAX_MEMORY" : "MAX_MESSAGES"},
             {"limit", limit},
             {"value", reached.value},
             {"messages", messages_}});
}

}  // namespace pgforeman
