#pragma once
// How many CPUs this process may use: the smallest of its cgroups' quotas (v1, v2, or both mounted
// side by side) and its affinity mask. The number of CPUs of the host is not it: in a container
// limited to two of 64 a fleet of 64 would only wait for itself.
//
// Reads files; fork: before. `root` stands for `/`, so that tests can lay out a tree of their own.

#include <filesystem>
#include <optional>
#include <string_view>

namespace pgforeman {

/// CPUs that `cpu.max` grants ("150000 100000" is 1.5); nothing for "max" and for garbage.
std::optional<double> parse_cpu_max(std::string_view text);

/// CPUs that v1's quota and period grant; nothing for a quota of -1 and for garbage.
std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us);

/// The smallest quota from this process's own cgroups up to the top of each mount; nothing: no
/// quota.
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& root = "/");

/// CPUs in the affinity mask (cpusets and `taskset` included), at least 1.
int affinity_cpus();

/// min(affinity, quota), rounded up, from 1 to `most`.
int cpu_limit(int affinity, std::optional<double> quota, int most);

}  // namespace pgforeman
