#include "system/resident.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace pgforeman {
namespace {

constexpr std::size_t kMostProcesses = 256;

/// Returns the children of `pid`: each of its threads has a list of the children that it forked.
std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  std::filesystem::directory_iterator thread("/proc/" + std::to_string(pid) + "/task", error);
  while (!error && thread != std::filesystem::directory_iterator()) {
    std::ifstream list(thread->path() / "children");
    for (pid_t child = 0; list >> child;) children.push_back(child);
    thread.increment(error);
  }
  return children;
}

}  // namespace

// Reads statm, a count that the kernel keeps, in microseconds. smaps_rollup walks every page table
// under the process's own lock, which takes some milliseconds a GiB. It would divide shared pages
// among their users, which a limit against leaks does not need.
std::int64_t resident_bytes(pid_t pid) {
  static const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  std::int64_t size = 0, resident = 0;
  return statm >> size >> resident ? resident * page : 0;
}

std::int64_t resident_bytes_of_tree(pid_t pid) {
  std::vector<pid_t> tree{pid};
  std::int64_t bytes = 0;
  for (std::size_t i = 0; i < tree.size(); ++i) {
    bytes += resident_bytes(tree[i]);
    for (const pid_t child : children_of(tree[i])) {
      if (tree.size() < kMostProcesses) tree.push_back(child);
    }
  }
  return bytes;
}

}  // namespace pgforeman
