#pragma once
// Where this process's cgroups are seen in the file system: v1, v2, or both mounted side by side.
//
// Reads files; fork: either. `root` stands for `/`, so that tests can lay out a tree of their own.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman {

/// One cgroup hierarchy, from /proc/self/mountinfo.
struct CgroupMount {
  bool v2 = false;
  std::string mount_root;   ///< the cgroup that is seen at mount_point
  std::string mount_point;  ///< unescaped
};

/// Mounts of cgroup v2, and of v1 with that controller ("cpu", "memory").
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo,
                                             std::string_view controller);

/// This process's cgroup in the hierarchy of a v1 controller, or ("") in v2's, from
/// /proc/self/cgroup.
std::optional<std::string> parse_own_cgroup(std::string_view proc_self_cgroup,
                                            std::string_view controller);

/// One hierarchy's folders, from this process's own cgroup up to the top of the mount.
struct CgroupPath {
  bool v2 = false;
  std::vector<std::filesystem::path> own_to_top;
};
std::vector<CgroupPath> own_cgroups(std::string_view controller,
                                    const std::filesystem::path& root = "/");

/// A small file's text; nothing when it cannot be read.
std::optional<std::string> read_small_file(const std::filesystem::path& path);
/// A whole number, perhaps followed by a newline; nothing for anything else.
std::optional<std::int64_t> parse_cgroup_number(std::string_view text);

}  // namespace pgforeman
