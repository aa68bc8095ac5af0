#include "base/resident.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/fd.h"

namespace pgforeman {
namespace {

constexpr std::size_t kMostProcesses = 256;

/// What one read gives: enough for the few numbers wanted, and for a long list of children.
std::string read_start(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::array<char, 4096> buffer;
  const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
  return size > 0 ? std::string(buffer.data(), static_cast<std::size_t>(size)) : std::string();
}

/// The whole numbers of `text`, separated by blanks.
std::vector<std::int64_t> numbers(const std::string& text) {
  std::vector<std::int64_t> all;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    std::int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc()) all.push_back(number);
    at = next == at ? at + 1 : next;
  }
  return all;
}

/// A process's threads each have a list of the children they forked.
std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code error;
  std::filesystem::directory_iterator thread("/proc/" + std::to_string(pid) + "/task", error);
  while (!error && thread != std::filesystem::directory_iterator()) {
    for (const auto child : numbers(read_start(thread->path().string() + "/children"))) {
      children.push_back(static_cast<pid_t>(child));
    }
    thread.increment(error);
  }
  return children;
}

}  // namespace

// statm and not smaps_rollup: the kernel keeps the count that statm prints, which is read in
// microseconds, while smaps_rollup walks every page table under the process's own lock, some
// milliseconds a GiB. What that would add (pages shared with others by their share) does not matter
// to a limit that is there for leaks.
std::int64_t resident_bytes(pid_t pid) {
  static const std::int64_t page = ::sysconf(_SC_PAGESIZE);
  const auto fields = numbers(read_start("/proc/" + std::to_string(pid) + "/statm"));
  return fields.size() < 2 ? 0 : fields[1] * page;
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
