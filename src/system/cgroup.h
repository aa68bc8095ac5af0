#pragma once
// Finds this process's cgroups in the file system: v1, v2, or both mounted side by side.
//
// Reads files; fork: either. `root` replaces `/`, so that tests can use a tree of their own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

/// The mount of a cgroup hierarchy, from /proc/self/mountinfo.
struct CgroupMount {
  bool v2 = false;
  std::string mount_root;   ///< the cgroup that is visible at mount_point
  std::string mount_point;  ///< unescaped
};

/// Returns the mounts of cgroup v2, and of v1 with `controller` ("cpu", "memory").
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo,
                                             std::string_view controller);

/// Returns this process's cgroup from the text of /proc/self/cgroup: in the hierarchy of a v1
/// controller, or in v2's if `controller` is "".
std::optional<std::string> parse_own_cgroup(std::string_view proc_self_cgroup,
                                            std::string_view controller);

/// The folders of one hierarchy, from this process's own cgroup up to the top of the mount.
struct CgroupPath {
  bool v2 = false;
  std::vector<std::filesystem::path> own_to_top;
};
std::vector<CgroupPath> own_cgroups(std::string_view controller,
                                    const std::filesystem::path& root = "/");

/// Returns a small file's text, or nothing if it cannot be read.
std::optional<std::string> read_small_file(const std::filesystem::path& path);
/// Returns a whole number, perhaps followed by a newline; nothing for any other text.
std::optional<std::int64_t> parse_cgroup_number(std::string_view text);

}  // namespace pgforeman
