#include "faults/process_faults.h"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>

#include "faults/stage.h"
#include "support/shared_memory.h"

namespace pgforeman::test {
namespace {

using Struck = std::optional<Fault::Struck>;

Struck stopped(const std::string& fleet, std::vector<pid_t> pids) {
  for (const pid_t pid : pids) ::kill(pid, SIGSTOP);
  return Fault::Struck{fleet, [pids = std::move(pids)] {
                         for (const pid_t pid : pids) ::kill(pid, SIGCONT);
                       }};
}

/// The processes below one of the fleet's slots: its handler, and what that started.
std::vector<pid_t> handlers(Stage& stage, const Actor& actor, Dice& dice) {
  const auto slot = stage.any_slot(actor, dice);
  return slot ? children_of(slot->pid) : std::vector<pid_t>{};
}

rlim_t highest_descriptor(pid_t pid) {
  rlim_t highest = 2;
  std::error_code gone;
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd", gone);
  for (const auto& entry : all) {
    highest = std::max<rlim_t>(highest, std::stoul(entry.path().filename().string()));
  }
  return highest;
}

/// Until none has less: a child that is forked meanwhile inherits its parent's limit.
void give_back_descriptors(const Fleet& fleet, const rlimit& before) {
  for (bool missing = true; missing;) {
    missing = false;
    std::vector<pid_t> pids = fleet.processes();
    // The process that forks first.
    std::stable_partition(pids.begin(), pids.end(), [&](pid_t pid) { return pid == fleet.pid(); });
    for (const pid_t pid : pids) {
      rlimit limit{};
      if (::prlimit(pid, RLIMIT_NOFILE, &before, &limit) != 0) continue;
      missing = missing || limit.rlim_cur != before.rlim_cur;
    }
  }
}

}  // namespace

Fault::How signal_consumer(int number) {
  return [number](Stage& stage, Dice& dice) -> Struck {
    const Actor& actor = stage.any(dice);
    const auto slot = stage.any_slot(actor, dice);
    if (!slot || ::kill(slot->pid, number) != 0) return std::nullopt;
    return Fault::Struck{actor.name, nullptr};
  };
}

Fault::How signal_handler(int number) {
  return [number](Stage& stage, Dice& dice) -> Struck {
    const Actor& actor = stage.any(dice);
    const auto pids = handlers(stage, actor, dice);
    for (const pid_t pid : pids) ::kill(pid, number);
    if (pids.empty()) return std::nullopt;
    return Fault::Struck{actor.name, nullptr};
  };
}

Fault::How signal_maintenance(int number) {
  return [number](Stage& stage, Dice& dice) -> Struck {
    const Actor& actor = stage.any(dice);
    const pid_t pid = stage.maintenance_of(actor);
    if (pid <= 0 || ::kill(pid, number) != 0) return std::nullopt;
    return Fault::Struck{actor.name, nullptr};
  };
}

Fault::How signal_supervisor(int number) {
  return [number](Stage& stage, Dice& dice) -> Struck {
    const Actor& actor = stage.any(dice);
    if (actor.end != Actor::End::none) return std::nullopt;
    actor.fleet->signal(number);
    return Fault::Struck{actor.name, nullptr};
  };
}

Struck stop_consumer(Stage& stage, Dice& dice) {
  const Actor& actor = stage.any(dice);
  const auto slot = stage.any_slot(actor, dice);
  if (!slot) return std::nullopt;
  return stopped(actor.name, {slot->pid});
}

Struck stop_handler(Stage& stage, Dice& dice) {
  const Actor& actor = stage.any(dice);
  const auto pids = handlers(stage, actor, dice);
  if (pids.empty()) return std::nullopt;
  return stopped(actor.name, pids);
}

Struck stop_maintenance(Stage& stage, Dice& dice) {
  const Actor& actor = stage.any(dice);
  const pid_t pid = stage.maintenance_of(actor);
  if (pid <= 0) return std::nullopt;
  return stopped(actor.name, {pid});
}

Struck kill_supervisor(Stage& stage, Dice& dice) {
  Actor* actor = stage.any_unsteady(dice);
  if (actor == nullptr) return std::nullopt;
  actor->end = Actor::End::killed;
  actor->fleet->signal(SIGKILL);
  return Fault::Struck{actor->name, [&stage, actor] { stage.replace(*actor); }};
}

Struck freeze_fleet(Stage& stage, Dice& dice) {
  Actor* actor = stage.any_unsteady(dice);
  if (actor == nullptr) return std::nullopt;
  // Its supervisor first, so that it forks no child that is missed.
  actor->fleet->signal(SIGSTOP);
  Struck struck = stopped(actor->name, actor->fleet->processes());
  actor->frozen = true;
  struck->undo = [actor, thaw = struck->undo] {
    thaw();
    actor->frozen = false;
  };
  return struck;
}

Struck deploy(Stage& stage, Dice& dice) {
  Actor* actor = stage.any_unsteady(dice);
  if (actor == nullptr) return std::nullopt;
  actor->end = Actor::End::told;
  actor->fleet->signal(SIGTERM);
  return Fault::Struck{actor->name, [&stage, actor] { stage.replace(*actor); }};
}

/// As systemd does it with KillMode=control-group, which is its default.
Struck tell_all(Stage& stage, Dice& dice) {
  Actor* actor = stage.any_unsteady(dice);
  if (actor == nullptr) return std::nullopt;
  actor->end = Actor::End::told;
  for (const pid_t pid : actor->fleet->processes()) ::kill(pid, SIGTERM);
  return Fault::Struck{actor->name, [&stage, actor] { stage.replace(*actor); }};
}

/// As `kill -9 -- -PGID` or `timeout -k` do it. The fleet's supervisor leads a group of its own.
Struck kill_group(Stage& stage, Dice& dice) {
  Actor* actor = stage.any_unsteady(dice);
  if (actor == nullptr || ::getpgid(actor->fleet->pid()) != actor->fleet->pid()) {
    return std::nullopt;
  }
  actor->end = Actor::End::killed;
  ::kill(-actor->fleet->pid(), SIGKILL);
  return Fault::Struck{actor->name, [&stage, actor] { stage.replace(*actor); }};
}

/// What the kernel sends for a file's size or for processor time: it ends a process that does not
/// ignore it.
Struck signal_of_a_limit(Stage& stage, Dice& dice) {
  const Actor& actor = stage.any(dice);
  if (actor.end != Actor::End::none) return std::nullopt;
  pid_t pid = actor.fleet->pid();
  const std::size_t whose = dice.below(5);
  if (whose == 1) pid = stage.maintenance_of(actor);
  if (whose > 1) {
    const auto slot = stage.any_slot(actor, dice);
    pid = slot ? slot->pid : 0;
  }
  if (pid <= 0 || ::kill(pid, dice.below(2) == 0 ? SIGXFSZ : SIGXCPU) != 0) return std::nullopt;
  return Fault::Struck{actor.name, nullptr};
}

Struck exit_0_on_term(Stage& stage, Dice&) {
  if (stage.handlers_exit_0()) return std::nullopt;
  stage.let_handlers_exit_0(true);
  return Fault::Struck{"", [&stage] { stage.let_handlers_exit_0(false); }};
}

/// But not where exit code 0 would follow: that is the same as being done.
Struck tell_handler(Stage& stage, Dice& dice) {
  if (stage.handlers_exit_0()) return std::nullopt;
  return signal_handler(SIGTERM)(stage, dice);
}

Struck resize(Stage& stage, Dice& dice) {
  Actor& actor = stage.any(dice);
  if (!actor.answers()) return std::nullopt;
  const bool more = dice.below(2) == 0;
  const std::string name = actor.name;
  actor.fleet->signal(more ? SIGTTIN : SIGTTOU);
  return Fault::Struck{name, [&actor, name, more] {
                         // Not to another fleet that took its place.
                         if (actor.name == name) actor.fleet->signal(more ? SIGTTOU : SIGTTIN);
                       }};
}

Struck garbage(Stage& stage, Dice& dice) {
  const Actor* actor = stage.any_unsteady(dice);
  if (actor == nullptr) return std::nullopt;
  const pid_t pid = actor->fleet->pid();
  bool written = false;
  for (const Mapping& mapping : shared_memory(pid)) {
    written = overwrite(pid, mapping, [&] { return static_cast<std::uint32_t>(dice.next()); });
  }
  if (!written) return std::nullopt;
  // Nothing undoes it, but so long it may cost: until the last child it confused is replaced.
  return Fault::Struck{actor->name, nullptr};
}

Struck no_descriptors(Stage& stage, Dice& dice) {
  Actor& actor = stage.any(dice);
  if (!actor.answers()) return std::nullopt;
  rlimit before{};
  if (::prlimit(actor.fleet->pid(), RLIMIT_NOFILE, nullptr, &before) != 0) return std::nullopt;
  for (const pid_t pid : actor.fleet->processes()) {
    const rlimit full{highest_descriptor(pid) + 1, before.rlim_max};
    ::prlimit(pid, RLIMIT_NOFILE, &full, nullptr);
  }
  actor.bare = true;
  return Fault::Struck{actor.name, [&actor, before, name = actor.name] {
                         if (actor.name != name) return;
                         actor.bare = false;
                         give_back_descriptors(*actor.fleet, before);
                       }};
}

}  // namespace pgforeman::test
