#pragma once
// A memory cgroup of the test's own, below that of the test itself: what is started in it and takes
// too much is killed by the kernel, as in a container.

#include <string>
#include <vector>

namespace pgforeman::test {

class MemoryCgroup {
 public:
  explicit MemoryCgroup(long limit_mib);
  ~MemoryCgroup();
  MemoryCgroup(const MemoryCgroup&) = delete;
  MemoryCgroup& operator=(const MemoryCgroup&) = delete;

  /// False where this user may make none: not root, or a v2 hierarchy that is not delegated.
  bool works() const { return !folder_.empty(); }
  /// `argv`, started inside.
  std::vector<std::string> inside(const std::vector<std::string>& argv) const;

 private:
  std::string folder_;
};

}  // namespace pgforeman::test
