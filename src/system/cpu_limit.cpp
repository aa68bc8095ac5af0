#include "system/cpu_limit.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>

#include "system/cgroup.h"

namespace pgforeman {
namespace {

namespace fs = std::filesystem;

std::optional<double> ratio(std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<double> quota_of(const fs::path& directory, bool v2) {
  if (v2) {
    const auto text = read_small_file(directory / "cpu.max");
    return text ? parse_cpu_max(*text) : std::nullopt;
  }
  const auto quota = read_small_file(directory / "cpu.cfs_quota_us");
  const auto period = read_small_file(directory / "cpu.cfs_period_us");
  return quota && period ? parse_cfs_quota(*quota, *period) : std::nullopt;
}

}  // namespace

std::optional<double> parse_cpu_max(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return ratio(parse_cgroup_number(text.substr(0, space)),
               parse_cgroup_number(text.substr(space + 1)));
}

std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us) {
  return ratio(parse_cgroup_number(quota_us), parse_cgroup_number(period_us));
}

std::optional<double> cgroup_cpu_quota(const fs::path& root) {
  std::optional<double> least;
  // A quota of any parent cgroup counts too: a pod's quota is above its containers' cgroups.
  for (const CgroupPath& path : own_cgroups("cpu", root)) {
    for (const fs::path& folder : path.own_to_top) {
      const auto quota = quota_of(folder, path.v2);
      if (quota) least = std::min(*quota, least.value_or(*quota));
    }
  }
  return least;
}

int affinity_cpus() {
  // The kernel refuses a mask that is shorter than its own, which has an unknown length.
  constexpr int kMostCpus = 1 << 16;
  for (int cpus = 1024; cpus <= kMostCpus; cpus *= 2) {
    struct Free {
      void operator()(cpu_set_t* set) const { CPU_FREE(set); }
    };
    const std::unique_ptr<cpu_set_t, Free> set(CPU_ALLOC(static_cast<std::size_t>(cpus)));
    const std::size_t size = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    if (!set) break;
    if (::sched_getaffinity(0, size, set.get()) == 0) {
      return std::max(1, CPU_COUNT_S(size, set.get()));
    }
  }
  return 1;
}

int cpu_limit(int affinity, std::optional<double> quota, int most) {
  int cpus = affinity;
  // Rounds up: a quota of 1.5 CPUs can keep two busy at times, and half a CPU still needs one.
  if (quota && *quota < static_cast<double>(affinity)) cpus = static_cast<int>(std::ceil(*quota));
  return std::clamp(cpus, 1, most);
}

}  // namespace pgforeman
