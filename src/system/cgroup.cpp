#include "system/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "text/quantity.h"

namespace pgforeman {
namespace {

namespace fs = std::filesystem;

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

/// Decodes octal escapes such as \040: mountinfo writes blanks, newlines and backslashes like this.
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

/// Returns the path of this process's cgroup below the mount point; "" is the mount point itself.
/// Also returns "" if the cgroup is outside of the mount (a namespace, a bind mount), as the mount
/// point is then the nearest visible cgroup.
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

}  // namespace

std::optional<std::string> read_small_file(const fs::path& path) {
  std::ifstream in(path);
  if (!in) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) return std::nullopt;
  return text;
}

std::optional<std::int64_t> parse_cgroup_number(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return parse_number(text);
}

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo,
                                             std::string_view controller) {
  // Example line: 36 35 98:0 /root /mount/point rw,noatime shared:1 - cgroup2 source rw,options
  std::vector<CgroupMount> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (dash - fields.begin() < 6 || fields.end() - dash < 4) continue;
    const std::string_view type = dash[1];
    const bool v2 = type == "cgroup2";
    const bool v1 = type == "cgroup" && contains(split(dash[3], ','), controller);
    if (v2 || v1) mounts.push_back({v2, unescape(fields[3]), unescape(fields[4])});
  }
  return mounts;
}

std::optional<std::string> parse_own_cgroup(std::string_view proc_self_cgroup,
                                            std::string_view controller) {
  // A line is "0::/path" for v2, "4:cpu,cpuacct:/path" for v1. The path may contain colons.
  for (const std::string_view line : split(proc_self_cgroup, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const bool match =
        controller.empty() ? controllers.empty() : contains(split(controllers, ','), controller);
    if (match) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

std::vector<CgroupPath> own_cgroups(std::string_view controller, const fs::path& root) {
  const auto mountinfo = read_small_file(root / "proc/self/mountinfo");
  const auto own_text = read_small_file(root / "proc/self/cgroup");
  if (!mountinfo || !own_text) return {};
  std::vector<CgroupPath> paths;
  for (const CgroupMount& mount : parse_cgroup_mounts(*mountinfo, controller)) {
    const auto own = parse_own_cgroup(*own_text, mount.v2 ? "" : controller);
    if (!own) continue;
    CgroupPath& path = paths.emplace_back();
    path.v2 = mount.v2;
    const fs::path top = root / fs::path(mount.mount_point).relative_path();
    std::string below = path_below(mount, *own);
    while (true) {
      path.own_to_top.push_back(top / fs::path(below).relative_path());
      if (below.empty()) break;
      below.resize(below.rfind('/') == std::string::npos ? 0 : below.rfind('/'));
    }
  }
  return paths;
}

}  // namespace pgforeman
