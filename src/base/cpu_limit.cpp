#include "base/cpu_limit.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>

namespace pgforeman {
namespace {

namespace fs = std::filesystem;

/// A small file's text; nothing when it cannot be read.
std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return std::nullopt;
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool contains(const std::vector<std::string_view>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// mountinfo writes blanks, newlines and backslashes in paths as \040 and the like.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
            text.data() + i + 4) {
      out += static_cast<char>(code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> ratio(std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

/// Where under the mount this process's cgroup is seen: "" is the mount point itself. That is also
/// the answer when the cgroup lies outside of what is mounted (a namespace, a bind mount): the
/// mount point is then the nearest thing to it that can be seen.
std::string path_below(const CgroupMount& mount, const std::string& own) {
  if (own.find("/..") != std::string::npos) return {};
  std::string below = own;
  if (mount.mount_root != "/") {
    const std::size_t size = mount.mount_root.size();
    const bool inside =
        own.compare(0, size, mount.mount_root) == 0 && (own.size() == size || own[size] == '/');
    if (!inside) return {};
    below = own.substr(size);
  }
  return below == "/" ? std::string() : below;
}

std::optional<double> quota_of(const fs::path& directory, bool v2) {
  if (v2) {
    const auto text = read_file(directory / "cpu.max");
    return text ? parse_cpu_max(*text) : std::nullopt;
  }
  const auto quota = read_file(directory / "cpu.cfs_quota_us");
  const auto period = read_file(directory / "cpu.cfs_period_us");
  return quota && period ? parse_cfs_quota(*quota, *period) : std::nullopt;
}

std::optional<double> smaller(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  // 36 35 98:0 /root /mount/point rw,noatime shared:1 - cgroup2 source rw,options
  std::vector<CgroupMount> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const std::string_view type = dash[1];
    const bool v2 = type == "cgroup2";
    const bool v1_cpu = type == "cgroup" && contains(split(dash[3], ','), "cpu");
    if (v2 || v1_cpu) mounts.push_back({v2, unescape(fields[3]), unescape(fields[4])});
  }
  return mounts;
}

std::optional<std::string> parse_own_cgroup(std::string_view proc_self_cgroup, bool v2) {
  // "0::/path" for v2, "4:cpu,cpuacct:/path" for v1. The path may hold colons.
  for (const std::string_view line : split(proc_self_cgroup, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool match = v2 ? controllers.empty() : contains(split(controllers, ','), "cpu");
    if (match) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

std::optional<double> parse_cpu_max(std::string_view text) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return ratio(parse_number(text.substr(0, space)), parse_number(text.substr(space + 1)));
}

std::optional<double> parse_cfs_quota(std::string_view quota_us, std::string_view period_us) {
  return ratio(parse_number(quota_us), parse_number(period_us));
}

std::optional<double> cgroup_cpu_quota(const fs::path& root) {
  const auto mountinfo = read_file(root / "proc/self/mountinfo");
  const auto own_cgroups = read_file(root / "proc/self/cgroup");
  if (!mountinfo || !own_cgroups) return std::nullopt;
  std::optional<double> least;
  for (const CgroupMount& mount : parse_cgroup_mounts(*mountinfo)) {
    const auto own = parse_own_cgroup(*own_cgroups, mount.v2);
    if (!own) continue;
    const fs::path top = root / fs::path(mount.mount_point).relative_path();
    // A limit anywhere above counts: a pod's quota sits above its containers' cgroups.
    std::string below = path_below(mount, *own);
    while (true) {
      least = smaller(least, quota_of(top / fs::path(below).relative_path(), mount.v2));
      if (below.empty()) break;
      below.resize(below.rfind('/') == std::string::npos ? 0 : below.rfind('/'));
    }
  }
  return least;
}

int affinity_cpus() {
  // The kernel refuses a mask shorter than its own; nobody can tell beforehand how long that is.
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
  // A quota of 1.5 CPUs keeps two busy now and then; half a CPU still needs one.
  if (quota && *quota < static_cast<double>(affinity)) cpus = static_cast<int>(std::ceil(*quota));
  return std::clamp(cpus, 1, most);
}

}  // namespace pgforeman
