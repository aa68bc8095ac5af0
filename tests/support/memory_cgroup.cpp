#include "support/memory_cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "support/postgres.h"
#include "support/process.h"
#include "system/cgroup.h"

namespace pgforeman::test {
namespace {

bool write(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text << std::flush;
  return out.good();
}

}  // namespace

MemoryCgroup::MemoryCgroup(long limit_mib) {
  static int count = 0;
  const std::string limit = std::to_string(limit_mib << 20);
  for (const CgroupPath& path : own_cgroups("memory")) {
    const std::string folder = path.own_to_top.front().string() + "/pgforeman-test-" +
                               std::to_string(::getpid()) + "-" + std::to_string(++count);
    if (::mkdir(folder.c_str(), 0755) != 0) continue;
    if (write(folder + (path.v2 ? "/memory.max" : "/memory.limit_in_bytes"), limit)) {
      folder_ = folder;
      return;
    }
    ::rmdir(folder.c_str());
  }
}

MemoryCgroup::~MemoryCgroup() {
  if (folder_.empty()) return;
  // It empties when the last process in it was reaped.
  eventually([this] { return ::rmdir(folder_.c_str()) == 0; });
}

std::vector<std::string> MemoryCgroup::inside(const std::vector<std::string>& argv) const {
  std::vector<std::string> words = {"/bin/sh", "-c",
                                    "echo $$ > " + folder_ + "/cgroup.procs; exec \"$@\"", "sh"};
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

}  // namespace pgforeman::test
