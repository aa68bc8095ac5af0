// The limit of the shape: N processes, each with one connection and nothing but a prepared
// DELETE ... SKIP LOCKED ... RETURNING on pgforeman's own table. No lease, no fence, no retry, no
// rescue: what is deleted and not handled is lost.
//
//   bare_loop --connections N --batch N [--marked]
//
// --marked gives it a low-water mark that all its processes share, so that it need not walk the
// index entries of rows that are gone. Says "ready", begins at the line "go" on stdin,
// answers each other line with the number of rows done so far, and ends with its stdin.

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "support.h"

namespace {

struct Shared {
  std::atomic<std::int64_t> done{0};
  std::atomic<std::int64_t> mark{0};
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
};

constexpr auto kHead =
    "delete from pgforeman.message where ctid = any(array(select ctid from pgforeman.message "
    "where queue = 'bench' and state = 0 and visible_at <= now() ";
constexpr auto kMarked = "and lane <= 5 and (lane, id) > (5, $2) ";
constexpr auto kTail =
    "order by queue, lane, id limit $1 for update skip locked)) returning id, payload";
constexpr useconds_t kEmptyPause = 2000;
// An unmarked look walks every dead entry: seldom, and only when there seems to be nothing.
constexpr int kUnmarkedEvery = 50;

void raise_to(std::atomic<std::int64_t>& mark, std::int64_t id) {
  std::int64_t seen = mark.load();
  while (seen < id && !mark.compare_exchange_weak(seen, id)) {
  }
}

void prepare(const bench::Session& session, bool marked) {
  // What the daemon's functions set for their plans, so that both run the same ones.
  for (const char* setting :
       {"set enable_seqscan = off", "set jit = off", "set plan_cache_mode = force_generic_plan"}) {
    bench::query(session, setting);
  }
  const std::string sql = std::string(kHead) + (marked ? kMarked : "") + kTail;
  bench::check(session, PQprepare(session.get(), "take", sql.c_str(), 0, nullptr));
}

int take(const bench::Session& session, const std::string& batch, bool marked, bool from_start,
         Shared& all) {
  const std::string mark = from_start ? "0" : std::to_string(all.mark.load());
  const char* values[] = {batch.c_str(), mark.c_str()};
  const bench::Result rows = bench::check(
      session, PQexecPrepared(session.get(), "take", marked ? 2 : 1, values, nullptr, nullptr, 0));
  const int count = PQntuples(rows.get());
  for (int i = 0; marked && i < count; ++i) {
    raise_to(all.mark, std::atoll(PQgetvalue(rows.get(), i, 0)));
  }
  all.done += count;
  return count;
}

void work(const std::string& batch, bool marked, Shared& all) {
  const bench::Session session = bench::connect();
  prepare(session, marked);
  ++all.ready;
  while (!all.go) ::usleep(500);
  int empty = 0;
  while (true) {
    const bool from_start = marked && empty > 0 && empty % kUnmarkedEvery == 0;
    if (take(session, batch, marked, from_start, all) > 0) {
      empty = 0;
    } else {
      ++empty;
      ::usleep(kEmptyPause);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int connections = std::atoi(bench::argument(argc, argv, "--connections", "8").c_str());
  const std::string batch = bench::argument(argc, argv, "--batch", "1");
  const bool marked = bench::flag(argc, argv, "--marked");
  auto& all = *bench::shared<Shared>();
  const auto workers = bench::fork_workers(connections, [&](int) { work(batch, marked, all); });
  while (all.ready < connections) ::usleep(1000);
  std::cout << "ready" << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "go") {
      all.go = true;
    } else {
      std::cout << all.done << std::endl;
    }
  }
  bench::end_workers(workers, SIGKILL);
}
