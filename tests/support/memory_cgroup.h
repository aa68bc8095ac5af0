#pragma once
// A memory cgroup below the cgroup of the test process. The kernel kills a process in it that takes
// too much memory, as in a container.

#include <string>
#include <vector>

namespace pgforeman::test {

class MemoryCgroup {
 public:
  explicit MemoryCgroup(long limit_mib);
  ~MemoryCgroup();
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  /// False if this user may not create a cgroup: not root, or a v2 hierarchy without delegation.
  bool works() const { return !folder_.empty(); }
  /// Returns a command that runs `argv` inside the cgroup.
  std::vector<std::string> inside(const std::vector<std::string>& argv) const;

 private:
  std::string folder_;
};

}  // namespace pgforeman::test
