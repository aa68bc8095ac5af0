#pragma once
// What the programs of the benchmark share: sessions that fail loudly, one clock, workers that end
// with their parent.

#include <libpq-fe.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace bench {

using Session = std::unique_ptr<PGconn, void (*)(PGconn*)>;
using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

/// By the PG* variables. Ends the program with a message when that fails.
Session connect();
/// Runs SQL; ends the program unless it succeeds.
Result query(const Session& session, const char* sql);
Result check(const Session& session, PGresult* result);

/// CLOCK_MONOTONIC, which all processes of a machine share; Node's process.hrtime is the same.
std::int64_t now_ns();

/// Runs `work(index)` in `count` processes that die with this one.
std::vector<pid_t> fork_workers(int count, const std::function<void(int)>& work);
void end_workers(const std::vector<pid_t>& workers, int signal);

/// The value of "--name" among the arguments, or `otherwise`.
std::string argument(int argc, char** argv, const std::string& name, const std::string& otherwise);
bool flag(int argc, char** argv, const std::string& name);

/// The number after `key` in JSON text, such as "\"t\":"; 0 when there is none.
std::int64_t number_after(const std::string& text, const std::string& key);

/// Anonymous memory that forked workers share.
template <typename T>
T* shared();
void* shared_bytes(std::size_t size);
template <typename T>
T* shared() {
  return new (shared_bytes(sizeof(T))) T{};
}

/// Says "ready", waits for a line on stdin, the gate. False at its end.
bool wait_at_gate();

}  // namespace bench
