#include "system/cpu_limit.h"

#include <sched.h>

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using pgforeman::test::TempDir;

namespace {

constexpr const char* kV2Mount =
    "22 1 8:1 / / rw - ext4 /dev/sda rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kV1Mount =
    "31 22 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 22 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";

/// A file system of `files` below a temporary folder.
struct Tree {
  explicit Tree(std::initializer_list<std::pair<const char*, const char*>> files) {
    for (const auto& [name, text] : files) dir.write(name, text);
  }
  std::optional<double> quota() const { return cgroup_cpu_quota(dir.path()); }
  TempDir dir;
};

}  // namespace

TEST_CASE("cpu.max and the v1 quota are read as CPUs", "[cpu_limit]") {
  CHECK(parse_cpu_max("150000 100000\n") == 1.5);
  CHECK(parse_cpu_max("50000 100000") == 0.5);
  for (const char* text : {"max 100000\n", "", "\n", "100000", "abc 100000", "1 0", "-1 100000",
                           "100000 100000 7", "100000 x"}) {
    INFO(text);
    CHECK_FALSE(parse_cpu_max(text));
  }
  CHECK(parse_cfs_quota("250000\n", "100000\n") == 2.5);
  CHECK_FALSE(parse_cfs_quota("-1\n", "100000\n"));
  CHECK_FALSE(parse_cfs_quota("100000\n", "0\n"));
  CHECK_FALSE(parse_cfs_quota("", ""));
}

TEST_CASE("A v2 quota is the smallest from the own cgroup to the top", "[cpu_limit]") {
  const Tree tree({{"proc/self/mountinfo", kV2Mount},
                   {"proc/self/cgroup", "0::/pod/app\n"},
                   {"sys/fs/cgroup/cpu.max", "max 100000\n"},
                   {"sys/fs/cgroup/pod/cpu.max", "200000 100000\n"},
                   {"sys/fs/cgroup/pod/app/cpu.max", "400000 100000\n"},
                   {"sys/fs/cgroup/other/cpu.max", "10000 100000\n"}});
  CHECK(tree.quota() == 2.0);
}

TEST_CASE("A container's own namespace shows its quota at the mount point", "[cpu_limit]") {
  const Tree tree({{"proc/self/mountinfo", kV2Mount},
                   {"proc/self/cgroup", "0::/\n"},
                   {"sys/fs/cgroup/cpu.max", "150000 100000\n"}});
  CHECK(tree.quota() == 1.5);
}

TEST_CASE("A v1 quota is read where the container's cgroup is mounted", "[cpu_limit]") {
  const Tree tree({{"proc/self/mountinfo",
                    "31 22 0:27 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"},
                   {"proc/self/cgroup", "4:cpu:/docker/x/inner\n"},
                   {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "300000\n"},
                   {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                   {"sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "-1\n"},
                   {"sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n"}});
  CHECK(tree.quota() == 3.0);
}

TEST_CASE("With both hierarchies mounted the smaller quota counts", "[cpu_limit]") {
  const std::string mounts = std::string(kV2Mount) + kV1Mount;
  const auto quota = [&](const char* v2, const char* v1) {
    return Tree({{"proc/self/mountinfo", mounts.c_str()},
                 {"proc/self/cgroup", "4:cpu,cpuacct:/p\n0::/p\n"},
                 {"sys/fs/cgroup/p/cpu.max", v2},
                 {"sys/fs/cgroup/cpu,cpuacct/p/cpu.cfs_quota_us", v1},
                 {"sys/fs/cgroup/cpu,cpuacct/p/cpu.cfs_period_us", "100000\n"}})
        .quota();
  };
  CHECK(quota("200000 100000", "100000") == 1.0);
  CHECK(quota("100000 200000", "100000") == 0.5);
  CHECK(quota("max 100000", "100000") == 1.0);
  CHECK_FALSE(quota("max 100000", "-1"));
}

TEST_CASE("A cgroup outside of the mount falls back to the mount point", "[cpu_limit]") {
  const Tree beside(
      {{"proc/self/mountinfo", "30 22 0:26 /docker/x /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
       {"proc/self/cgroup", "0::/docker/xy\n"},
       {"sys/fs/cgroup/cpu.max", "200000 100000\n"}});
  CHECK(beside.quota() == 2.0);
  const Tree above({{"proc/self/mountinfo", kV2Mount},
                    {"proc/self/cgroup", "0::/../../elsewhere\n"},
                    {"sys/fs/cgroup/cpu.max", "100000 100000\n"},
                    {"elsewhere/cpu.max", "10000 100000\n"}});
  CHECK(above.quota() == 1.0);
}

TEST_CASE("Without cgroups there is no quota", "[cpu_limit]") {
  CHECK_FALSE(Tree({}).quota());
  CHECK_FALSE(Tree({{"proc/self/mountinfo", ""}, {"proc/self/cgroup", ""}}).quota());
  CHECK_FALSE(Tree({{"proc/self/mountinfo", kV2Mount}, {"proc/self/cgroup", "0::/p\n"}}).quota());
}

TEST_CASE("The limit is the smaller of quota and affinity, rounded up, within bounds",
          "[cpu_limit]") {
  CHECK(cpu_limit(8, std::nullopt, 1024) == 8);
  CHECK(cpu_limit(8, 1.5, 1024) == 2);
  CHECK(cpu_limit(8, 0.1, 1024) == 1);
  CHECK(cpu_limit(8, 7.01, 1024) == 8);
  CHECK(cpu_limit(2, 64.0, 1024) == 2);
  CHECK(cpu_limit(0, std::nullopt, 1024) == 1);
  CHECK(cpu_limit(4096, std::nullopt, 1024) == 1024);
  CHECK(cpu_limit(4096, 1e300, 1024) == 1024);
}

TEST_CASE("The affinity mask counts, not the CPUs of the host", "[cpu_limit]") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  CHECK(affinity_cpus() == CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(affinity_cpus() == 1);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
}
