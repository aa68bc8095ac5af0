#pragma once
// Finds how many CPUs this process may use: the smallest of its cgroups' quotas (v1, v2, or both
// mounted side by side) and its affinity mask. The host's number of CPUs can be far too high: in a
// container limited to 2 of 64 CPUs, 64 consumers would only wait for each other.
//
// Reads files; fork: before. `root` replaces `/`, so that tests can use a tree of their own.

#include <filesystem>
#include <optional>
#include <string_view>

namespace pgforeman {

/// Returns the CPUs that `cpu.max` grants ("150000 100000" is 1.5); nothing for "max" or bad text.
std::optional<double> parse_cpu_max(std::string_view text);

/// Returns the CPUs that v1's quota and period grant; nothing for a quota of -1 or bad text.
std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us);

/// Returns the smallest quota from this process's own cgroups up to the top of each mount, or
/// nothing if there is no quota.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root = "/");

/// Returns the number of CPUs in the affinity mask (cpusets and `taskset` included), at least 1.
int affinity_cpus();

/// Returns min(affinity, quota), rounded up, limited to 1 to `most`.
int cpu_limit(int affinity, std::optional<double> quota, int most);

}  // namespace pgforeman
