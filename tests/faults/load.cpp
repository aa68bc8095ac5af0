#include "faults/load.h"

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <stdexcept>

#include "support/postgres.h"

namespace pgforeman::test {
namespace {

constexpr int kAtOnce = 5;
constexpr int kWaiting = 500;

}  // namespace

Load::Load(std::string conninfo, double rate, std::uint64_t seed)
    : conninfo_(std::move(conninfo)), dice_(seed), thread_([this, rate] { run(rate); }) {}

Load::~Load() {
  finish();
}

std::set<std::int64_t> Load::finish() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return sent_;
}

std::size_t Load::sent() const {
  const std::lock_guard lock(mutex_);
  return sent_.size();
}

std::string Load::payloads(std::int64_t first, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    const double chance = dice_.part();
    // Some that are likely to be under way when something strikes.
    const std::string ms = R"(, "ms": )" + std::to_string(dice_.below(chance > 0.9 ? 200 : 20));
    std::string what = R"("work")" + ms;
    if (chance < 0.04) what = R"("fail")";
    if (chance < 0.02) what = R"("crash")";
    if (chance < 0.01) what = R"("litter")" + ms;
    if (chance < 0.005) what = R"("hang")";
    if (chance < 0.002) what = R"("poison")";
    all += i > 0 ? ", " : "";
    all += R"('{"n": )" + std::to_string(first + i) + R"(, "do": )" + what + "}'";
  }
  return "array[" + all + "]::jsonb[]";
}

void Load::run(double rate) {
  // Signals are for the thread that tests.
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const auto pause = std::max(1, static_cast<int>(1000 * kAtOnce / rate));
  std::unique_ptr<Sql> sql;
  for (std::int64_t next = 1; !stop_;) {
    ::poll(nullptr, 0, pause);
    try {
      if (!sql) sql = std::make_unique<Sql>(conninfo_);
      const auto waiting =
          sql->number("select count(*) from (select from pgforeman.message where state = 0 limit " +
                      std::to_string(kWaiting) + ") w");
      if (waiting >= kWaiting) continue;
      const std::int64_t first = next;
      next += kAtOnce;
      sql->rows("select pgforeman.send_batch('q', " + payloads(first, kAtOnce) + ")");
      const std::lock_guard lock(mutex_);
      for (std::int64_t n = first; n < next; ++n) sent_.insert(n);
    } catch (const std::runtime_error&) {
      sql.reset();
    }
  }
}

}  // namespace pgforeman::test
