#include "support/shared_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "support/process.h"

namespace pgforeman::test {

std::vector<Mapping> shared_memory(pid_t pid) {
  std::vector<Mapping> found;
  for (const auto& line : read_lines("/proc/" + std::to_string(pid) + "/maps")) {
    unsigned long from = 0, to = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &from, &to, rights) != 3) continue;
    if (std::string(rights) == "rw-s" && line.find("/dev/zero") != std::string::npos) {
      found.push_back({from, to});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Mapping& a, const Mapping& b) { return a.to - a.from > b.to - b.from; });
  return found;
}

bool overwrite(pid_t pid, const Mapping& mapping, const std::function<std::uint32_t()>& word) {
  const std::string path = "/proc/" + std::to_string(pid) + "/mem";
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  std::vector<std::uint32_t> block(1U << 18U);
  std::uint64_t done = 0;
  for (auto at = mapping.from; at < mapping.to; at += block.size() * 4) {
    for (auto& one : block) one = word();
    const auto size = std::min<std::uint64_t>(block.size() * 4, mapping.to - at);
    const auto written = ::pwrite(fd, block.data(), size, static_cast<off_t>(at));
    if (written != static_cast<ssize_t>(size)) break;
    done += size;
  }
  ::close(fd);
  return done == mapping.to - mapping.from;
}

}  // namespace pgforeman::test
