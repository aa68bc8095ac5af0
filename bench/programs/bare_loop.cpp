// The limit of the shape: N processes, each with one connection and nothing but a prepared
// DELETE ... SKIP LOCKED ... RETURNING on pgforeman's own table. No fence, no retry, no rescue, and
// but for --leased no lease: what is deleted and not handled is lost.
//
//   bare_loop --connections N --batch N [--marked | --leased]
//
// --marked gives it a low-water mark that all its processes share, so that it need not walk the
// index entries of rows that are gone. --leased has one too, and is the limit of the shape with
// leases: rows are claimed by an update first and deleted with the next claim, in one round trip
// and with one commit. Says "ready", begins at the line "go" on stdin, answers each other line with
// the number of rows done so far, and ends with its stdin.

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "support.h"

namespace {

struct Shared {
  std::atomic<std::int64_t> done{0};
  std::atomic<std::int64_t> mark{0};
  std::atomic<std::int64_t> tokens{0};
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
};

enum class Shape { plain, marked, leased };

constexpr auto kTake = "delete from pgforeman.message ";
constexpr auto kLease =
    "update pgforeman.message set visible_at = now() + interval '5 min', token = $3, "
    "claims = claims + 1 ";
constexpr auto kEnd = "delete from pgforeman.message where id = any($1) and token = $2";
constexpr auto kFirst =
    "where ctid = any(array(select ctid from pgforeman.message "
    "where queue = 'bench' and state = 0 and visible_at <= now() ";
constexpr auto kMarked = "and place > (5::bigint << 56) + $2 and place < 6::bigint << 56 ";
constexpr auto kTail =
    "order by queue, place limit $1 for update skip locked)) returning id, payload";
constexpr useconds_t kEmptyPause = 2000;
// An unmarked look walks every dead entry: seldom, and only when there seems to be nothing.
constexpr int kUnmarkedEvery = 50;

void raise_to(std::atomic<std::int64_t>& mark, std::int64_t id) {
  std::int64_t seen = mark.load();
  while (seen < id && !mark.compare_exchange_weak(seen, id)) {
  }
}

void prepare(const bench::Session& session, Shape shape) {
  // What the daemon's functions set for their plans, so that both run the same ones.
  for (const char* setting :
       {"set enable_seqscan = off", "set jit = off", "set plan_cache_mode = force_generic_plan"}) {
    bench::query(session, setting);
  }
  const std::string sql = std::string(shape == Shape::leased ? kLease : kTake) + kFirst +
                          (shape == Shape::plain ? "" : kMarked) + kTail;
  bench::check(session, PQprepare(session.get(), "take", sql.c_str(), 0, nullptr));
  if (shape == Shape::leased) {
    bench::check(session, PQprepare(session.get(), "end", kEnd, 0, nullptr));
  }
}

/// What a worker holds: claimed, and told to be done with the next claim.
struct Leased {
  std::string ids = "{}";
  std::string token = "0";
  int count = 0;
};

/// First the end of what is held, so that two who do both wait for each other in no case.
bench::Result end_and_lease(const bench::Session& session, const Leased& held,
                            const char* const* values) {
  PGconn* connection = session.get();
  const char* ended[] = {held.ids.c_str(), held.token.c_str()};
  PQenterPipelineMode(connection);
  PQsendQueryPrepared(connection, "end", 2, ended, nullptr, nullptr, 0);
  PQsendQueryPrepared(connection, "take", 3, values, nullptr, nullptr, 0);
  PQpipelineSync(connection);
  bench::check(session, PQgetResult(connection));
  PQgetResult(connection);
  bench::Result rows = bench::check(session, PQgetResult(connection));
  PQgetResult(connection);
  PQclear(PQgetResult(connection));  // of the sync
  PQexitPipelineMode(connection);
  return rows;
}

int take(const bench::Session& session, const std::string& batch, Shape shape, bool from_start,
         Leased& held, Shared& all) {
  const std::string mark = from_start ? "0" : std::to_string(all.mark.load());
  const std::string token = std::to_string(++all.tokens);
  const char* values[] = {batch.c_str(), mark.c_str(), token.c_str()};
  const bench::Result rows =
      shape == Shape::leased ? end_and_lease(session, held, values)
                             : bench::check(session, PQexecPrepared(session.get(), "take",
                                                                    shape == Shape::marked ? 2 : 1,
                                                                    values, nullptr, nullptr, 0));
  const int count = PQntuples(rows.get());
  all.done += shape == Shape::leased ? std::exchange(held.count, count) : count;
  if (shape == Shape::plain) return count;
  std::string ids;
  for (int i = 0; i < count; ++i) {
    const char* id = PQgetvalue(rows.get(), i, 0);
    raise_to(all.mark, std::atoll(id));
    ids.append(i == 0 ? "" : ",").append(id);
  }
  held.ids = "{" + ids + "}";
  held.token = token;
  return count;
}

void work(const std::string& batch, Shape shape, Shared& all) {
  const bench::Session session = bench::connect();
  prepare(session, shape);
  ++all.ready;
  while (!all.go) ::usleep(500);
  Leased held;
  int empty = 0;
  while (true) {
    const bool from_start = shape != Shape::plain && empty > 0 && empty % kUnmarkedEvery == 0;
    if (take(session, batch, shape, from_start, held, all) > 0) {
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
  const Shape shape = bench::flag(argc, argv, "--leased")   ? Shape::leased
                      : bench::flag(argc, argv, "--marked") ? Shape::marked
                                                            : Shape::plain;
  auto& all = *bench::shared<Shared>();
  const auto workers = bench::fork_workers(connections, [&](int) { work(batch, shape, all); });
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
