#include "system/cgroup.h"

#include <filesystem>

#include "options_support.h"
#include "support/catch.h"
#include "system/oom_kills.h"

using namespace pgforeman;
using pgforeman::test::TempDir;

TEST_CASE("Mounts are found among others, also with optional fields and escaped blanks",
          "[cgroup]") {
  const auto mounts = parse_cgroup_mounts(
      "garbage\n"
      "1 2 0:1 / /proc rw - proc proc rw\n"
      "30 22 0:26 /a\\040b /mnt/c\\040d\\134 rw shared:9 master:1 - cgroup2 cgroup2 rw\n"
      "31 22 0:27 /docker/x /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpuacct,cpu\n"
      "32 22 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "33 22 0:29 / /short -\n",
      "cpu");
  REQUIRE(mounts.size() == 2);
  CHECK(mounts[0].v2);
  CHECK(mounts[0].mount_root == "/a b");
  CHECK(mounts[0].mount_point == "/mnt/c d\\");
  CHECK_FALSE(mounts[1].v2);
  CHECK(mounts[1].mount_root == "/docker/x");
}

TEST_CASE("The process's cgroup is found per hierarchy", "[cgroup]") {
  const char* text = "12:cpuset:/set\n4:cpu,cpuacct:/a:b\n1:name=systemd:/s\n0::/u\n";
  CHECK(parse_own_cgroup(text, "") == "/u");
  CHECK(parse_own_cgroup(text, "cpu") == "/a:b");
  CHECK_FALSE(parse_own_cgroup("12:cpuset:/set\n", "cpu"));
  CHECK_FALSE(parse_own_cgroup("4:cpu:/\n", ""));
  CHECK_FALSE(parse_own_cgroup("", ""));
}

TEST_CASE("A kill for lack of memory is recognised by the cgroup's count", "[cgroup]") {
  struct Case {
    const char *mount, *own, *file, *before;
  };
  const auto c = GENERATE(values<Case>({
      {"30 22 0:26 / /cg rw - cgroup2 cgroup2 rw\n", "0::/app\n", "cg/app/memory.events",
       "low 0\noom 9\noom_kill "},
      {"32 22 0:28 / /cg/memory rw - cgroup cgroup rw,memory\n", "4:memory:/app\n0::/\n",
       "cg/memory/app/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill "},
  }));
  INFO(c.mount);
  TempDir dir;
  dir.write("proc/self/mountinfo", c.mount);
  dir.write("proc/self/cgroup", c.own);
  const auto set = [&](int kills) {
    dir.write(c.file, c.before + std::to_string(kills) + "\noom_group_kill 0\n");
  };
  set(3);
  CHECK(cgroup_oom_kills(dir.path()) == 3);
  OomWatch watch(dir.path());
  CHECK_FALSE(watch.explains_kill());
  set(5);
  CHECK(watch.explains_kill());
  CHECK(watch.explains_kill());
  CHECK_FALSE(watch.explains_kill());
  // A kill of long ago explains no death of today.
  set(6);
  watch.refresh(Clock::now() + std::chrono::seconds(2));
  watch.refresh(Clock::now() + std::chrono::seconds(4));
  CHECK_FALSE(watch.explains_kill());
}

TEST_CASE("Without the cgroup's count no kill is attributed to memory", "[cgroup]") {
  TempDir dir;
  CHECK_FALSE(cgroup_oom_kills(dir.path()));
  OomWatch watch(dir.path());
  CHECK_FALSE(watch.explains_kill());
  // A hybrid host: v2 is mounted without the memory controller.
  dir.write("proc/self/mountinfo", "30 22 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
  dir.write("proc/self/cgroup", "0::/\n");
  dir.write("cg/memory.events", "garbage");
  CHECK_FALSE(cgroup_oom_kills(dir.path()));
}
