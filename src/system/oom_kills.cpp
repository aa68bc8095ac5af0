#include "system/oom_kills.h"

#include <algorithm>
#include <utility>

#include "system/cgroup.h"

namespace pgforeman {
namespace {

/// Returns the number after `name` and a blank at the start of a line.
std::optional<std::int64_t> field(const std::string& text, const std::string& name) {
  const std::string lines = "\n" + text;
  const auto at = lines.find("\n" + name + " ");
  if (at == std::string::npos) return std::nullopt;
  const auto from = at + name.size() + 2;
  return parse_cgroup_number(std::string_view(lines).substr(from, lines.find('\n', from) - from));
}

}  // namespace

std::optional<std::int64_t> cgroup_oom_kills(const std::filesystem::path& root) {
  for (const CgroupPath& path : own_cgroups("memory", root)) {
    const auto& own = path.own_to_top.front();
    const auto text = read_small_file(own / (path.v2 ? "memory.events" : "memory.oom_control"));
    const auto kills = text ? field(*text, "oom_kill") : std::nullopt;
    // A hybrid host also mounts a v2 hierarchy, without a memory controller: tries the next one.
    if (kills) return kills;
  }
  return std::nullopt;
}

OomWatch::OomWatch(std::filesystem::path root)
    : root_(std::move(root)),
      used_kills_(cgroup_oom_kills(root_).value_or(0)),
      last_count_(used_kills_),
      read_at_(Clock::now()) {}

void OomWatch::refresh(TimePoint now) {
  if (now - read_at_ < std::chrono::seconds(1)) return;
  read_at_ = now;
  used_kills_ = std::max(used_kills_, last_count_);
  last_count_ = cgroup_oom_kills(root_).value_or(last_count_);
}

bool OomWatch::explains_kill() {
  const auto kills = cgroup_oom_kills(root_);
  if (!kills || *kills <= used_kills_) return false;
  ++used_kills_;
  return true;
}

}  // namespace pgforeman
