// Sends messages: N processes, one connection each, and one transaction a message.
//
//   sender --sql "select pgforeman.send('bench', $1::jsonb)" --senders N [--array N]
//          [--count N | --seconds S] [--rate N_A_SECOND_IN_ALL] [--bytes N]
//
// With --array a transaction has so many messages, and $1 is an array of their payloads, all of one
// moment. Counts, rates and what is told are of messages; --count is then a multiple of it.
// Without a rate each sends as fast as the server commits. A payload is {"t": when, "pad": "..."}
// with the monotonic nanoseconds at which its send began. Says "ready", begins at a line on stdin,
// and ends with one line of JSON: {"sent": 1000, "seconds": 1.5}.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <random>

#include "support.h"

namespace {

struct Plan {
  std::string sql;
  int senders = 1;
  std::int64_t count = 0;  ///< in all; 0: until the time is over
  double seconds = 0;
  double rate = 0;  ///< in all; 0: as fast as it goes
  std::size_t pad = 0;
  std::int64_t array = 0;  ///< messages a transaction, in an array; 0: one, and no array
};

struct Shared {
  std::atomic<std::int64_t> sent{0};
  std::atomic<int> ready{0};
  std::atomic<std::int64_t> started_ns{0};
};

/// As text of PostgreSQL: {"{\"t\": 1}","{\"t\": 1}"}.
std::string array_of(const std::string& payload, std::int64_t count) {
  std::string element = "\"";
  for (const char letter : payload) {
    if (letter == '"' || letter == '\\') element += '\\';
    element += letter;
  }
  element += '"';
  std::string all = "{";
  all.reserve((element.size() + 1) * static_cast<std::size_t>(count) + 2);
  for (std::int64_t i = 0; i < count; ++i) all.append(i == 0 ? "" : ",").append(element);
  return all + "}";
}

void send(const bench::Session& session, const std::string& pad, std::int64_t array) {
  std::string payload =
      "{\"t\": " + std::to_string(bench::now_ns()) + ", \"pad\": \"" + pad + "\"}";
  if (array > 0) payload = array_of(payload, array);
  const char* values[] = {payload.c_str()};
  bench::check(session, PQexecPrepared(session.get(), "send", 1, values, nullptr, nullptr, 0));
}

void work(int index, const Plan& plan, Shared& all) {
  const bench::Session session = bench::connect();
  bench::check(session, PQprepare(session.get(), "send", plan.sql.c_str(), 0, nullptr));
  // Noise, so that compression makes nothing of it.
  std::string pad(plan.pad, ' ');
  std::mt19937 dice(static_cast<unsigned>(index));
  for (char& letter : pad) letter = "0123456789abcdef"[dice() % 16];
  ++all.ready;
  while (all.started_ns == 0) ::usleep(500);
  const std::int64_t start = all.started_ns;
  const std::int64_t at_once = std::max<std::int64_t>(1, plan.array);
  const std::int64_t count = plan.count / at_once;
  const std::int64_t mine = count / plan.senders + (index < count % plan.senders ? 1 : 0);
  const double every_ns =
      plan.rate > 0 ? 1e9 * static_cast<double>(plan.senders * at_once) / plan.rate : 0;
  for (std::int64_t n = 0; plan.count == 0 || n < mine; ++n) {
    const std::int64_t now = bench::now_ns();
    if (plan.seconds > 0 && static_cast<double>(now - start) > plan.seconds * 1e9) break;
    // Senders take turns, so that a rate is even. Who is late sends at once: nobody waits for it.
    const auto due =
        start + static_cast<std::int64_t>(every_ns * (static_cast<double>(n) +
                                                      static_cast<double>(index) / plan.senders));
    if (due > now) ::usleep(static_cast<useconds_t>((due - now) / 1000));
    send(session, pad, plan.array);
    all.sent += at_once;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Plan plan;
  plan.sql = bench::argument(argc, argv, "--sql", "select pgforeman.send('bench', $1::jsonb)");
  plan.senders = std::atoi(bench::argument(argc, argv, "--senders", "1").c_str());
  plan.count = std::atoll(bench::argument(argc, argv, "--count", "0").c_str());
  plan.seconds = std::atof(bench::argument(argc, argv, "--seconds", "0").c_str());
  plan.rate = std::atof(bench::argument(argc, argv, "--rate", "0").c_str());
  plan.pad =
      static_cast<std::size_t>(std::atoll(bench::argument(argc, argv, "--bytes", "0").c_str()));
  plan.array = std::atoll(bench::argument(argc, argv, "--array", "0").c_str());
  auto& all = *bench::shared<Shared>();
  const auto workers =
      bench::fork_workers(plan.senders, [&](int index) { work(index, plan, all); });
  while (all.ready < plan.senders) ::usleep(1000);
  if (!bench::wait_at_gate()) return 1;
  const std::int64_t start = bench::now_ns();
  all.started_ns = start;
  int failed = 0;
  for (const pid_t pid : workers) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) ++failed;
  }
  const double seconds = static_cast<double>(bench::now_ns() - start) / 1e9;
  std::cout << "{\"sent\": " << all.sent << ", \"seconds\": " << seconds
            << ", \"failed\": " << failed << "}" << std::endl;
  return failed == 0 ? 0 : 1;
}
