#include "system/origin.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>

#include "system/child_exit.h"
#include "system/fd.h"

namespace pgforeman {
namespace {

// A value above every limit in use, but not RLIM_INFINITY.
constexpr rlim_t kMarkBase = rlim_t{1} << 62U;
// The most bytes of an environment that are searched, since variables may be large.
constexpr std::size_t kMostEnvironment = std::size_t{4} * 1024 * 1024;

// Set before the first fork. Signal handlers and the child between vfork and exec read the mark.
rlim_t fleet_mark = 0;
std::string fleet_variable_text;

}  // namespace

void set_fleet_mark(std::uint64_t fleet_id) {
  fleet_mark = kMarkBase | (fleet_id >> 2U);
  fleet_variable_text = fmt::format("PGFOREMAN_FLEET={:016x}", fleet_id);
}

void take_fleet_mark() noexcept {
  struct rlimit limit {};
  if (fleet_mark == 0 || ::getrlimit(RLIMIT_LOCKS, &limit) != 0) return;
  limit.rlim_cur = fleet_mark;
  (void)::setrlimit(RLIMIT_LOCKS, &limit);
}

bool has_fleet_mark(pid_t pid) noexcept {
  struct rlimit limit {};
  return fleet_mark != 0 && ::prlimit(pid, RLIMIT_LOCKS, nullptr, &limit) == 0 &&
         limit.rlim_cur == fleet_mark;
}

std::string fleet_variable() {
  return fleet_variable_text;
}

bool has_fleet_variable(pid_t pid) {
  const std::string wanted = fleet_variable();
  if (wanted.empty()) return false;
  const std::string path =
      "/proc/" + std::to_string(pid) + "/environ";  // house: environment: it is another process's
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return false;
  std::string text;
  std::array<char, 16384> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (text.size() < kMostEnvironment) {
    const ssize_t size = ::read(fd.get(), chunk.data(), chunk.size());
    if (size <= 0) break;
    text.append(chunk.data(), static_cast<std::size_t>(size));
    if (text.find(wanted) != std::string::npos) return true;
  }
  return false;
}

void kill_marked_processes() noexcept {
  if (fleet_mark == 0) return;
  kill_processes_from_signal_handler([](pid_t pid) { return has_fleet_mark(pid); });
}

}  // namespace pgforeman
