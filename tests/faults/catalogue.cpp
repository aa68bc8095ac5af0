// The faults of a run, as a table: what happens, for how many seconds, how often a minute, and what
// it may cost: leases, workers.

#include <stdexcept>

#include "faults/database_faults.h"
#include "faults/fault.h"
#include "faults/process_faults.h"

namespace pgforeman::test {

const std::vector<Fault>& catalogue() {
  using enum Leases;
  static const std::vector<Fault> all = {
      // name, what, seconds, a minute, leases, how, workers
      {"consumer-kill", "a consumer is killed", 0, 0, 30, kept, signal_consumer(SIGKILL), 1},
      {"consumer-segv", "a consumer crashes", 0, 0, 10, kept, signal_consumer(SIGSEGV), 1},
      {"consumer-abort", "a consumer aborts", 0, 0, 5, kept, signal_consumer(SIGABRT), 1},
      {"consumer-stop", "a consumer is stopped", 0.2, 8, 4, lost_if_long, stop_consumer, 1},
      {"handler-kill", "a handler is killed", 0, 0, 20, kept, signal_handler(SIGKILL), 1},
      {"handler-segv", "a handler crashes", 0, 0, 5, kept, signal_handler(SIGSEGV), 1},
      {"handler-stop", "a handler is stopped", 0.2, 5, 3, kept, stop_handler, 1},
      {"handler-term", "a handler is told to end, and its fleet is not", 0, 0, 3, kept,
       tell_handler, 0, true, true},
      {"handler-exit-0", "handlers end with code 0 on SIGTERM", 3, 6, 3, kept, exit_0_on_term},
      {"limit-signal", "SIGXFSZ or SIGXCPU to one of a fleet's own processes", 0, 0, 5, kept,
       signal_of_a_limit},
      {"maintenance-kill", "maintenance is killed", 0, 0, 6, kept, signal_maintenance(SIGKILL)},
      {"maintenance-stop", "maintenance is stopped", 0.2, 6, 2, lost_if_long, stop_maintenance},
      {"supervisor-kill", "a supervisor is killed: a lost host", 0, 0, 1, lost, kill_supervisor},
      {"fleet-freeze", "a fleet is frozen and thawed", 0.5, 8, 1, lost_if_long, freeze_fleet},
      {"fleet-deploy", "a fleet is told to end, and another one comes", 1, 2, 1, kept, deploy},
      {"fleet-hup", "a fleet is told to begin anew", 0, 0, 1, kept, signal_supervisor(SIGHUP)},
      {"fleet-resize", "a child more, a child less", 0.5, 3, 3, kept, resize},
      {"group-term", "SIGTERM to all of a fleet's processes, and another one comes", 1, 2, 2, kept,
       tell_all},
      {"group-kill", "a fleet's process group is killed", 0, 0, 1, lost, kill_group},
      {"scoreboard-garbage", "garbage over all shared memory", 22, 22, 0.5, lost, garbage, 8},
      {"descriptors-gone", "a fleet has no descriptor left", 0.5, 4, 1, lost_if_long,
       no_descriptors},

      {"server-restart", "PostgreSQL is stopped fast", 0.1, 5, 0.5, lost_if_long, stop_server},
      {"server-immediate", "PostgreSQL is stopped immediately", 0.1, 3, 0.5, lost_if_long,
       stop_server_immediately},
      {"server-kill", "PostgreSQL is killed", 0.1, 5, 0.5, lost_if_long, kill_server},
      {"server-pause", "PostgreSQL is stopped by SIGSTOP", 0.2, 6, 1, lost_if_long, pause_server},
      {"backends-terminate", "sessions are ended by pg_terminate_backend", 0, 0, 10, kept,
       end_sessions},
      {"statements-cancel", "statements are cancelled", 0, 0, 10, kept, cancel_statements},
      {"connections-gone", "PostgreSQL has no connection left", 0.5, 4, 1, lost_if_long,
       take_connections},
      {"read-only", "PostgreSQL is read-only", 0.2, 3, 1, lost_if_long, read_only},
      {"serializable", "all transactions are serializable", 0.5, 5, 1, lost_if_long, serializable},
      {"rows-locked", "rows of the queue are locked", 0.5, 6, 3, lost_if_long, lock_rows},
      {"payload-damaged", "a payload's page is damaged", 0, 0, 2, kept, damage_payload},
      {"changes-refused", "a trigger refuses to change some messages", 0.2, 6, 2, lost,
       refuse_changes},
      {"table-locked", "the queue is locked", 0.1, 4, 1, lost_if_long, lock_table},
      {"dead-letters-locked", "the dead letters are locked", 0.5, 6, 1, lost_if_long,
       lock_dead_letters},
      {"advisory-locked", "a stranger takes the fleets' advisory locks", 1, 8, 1, kept,
       take_advisory_locks},
      {"commits-hang", "a synchronous standby is away: commits hang", 0.2, 6, 1, lost_if_long,
       hang_commits},
      {"snapshot-held", "a transaction stays open", 5, 20, 1, kept, hold_snapshot},
      {"security-on", "row level security hides the queue's rows from a fleet", 0.3, 3, 1,
       lost_if_long, hide_rows},
      {"sequence-back", "the sequence of ids is set back", 0, 0, 1, kept, set_ids_back},
      {"restored-dump", "a dump of the queue is restored", 0.5, 5, 0.5, lost, restore_dump},
      {"migrated-again", "migrate runs beside the fleets", 0, 0, 1, kept, migrate_again},

      {"network-silent", "a fleet's packets to PostgreSQL are dropped", 0.2, 8, 2, lost_if_long,
       silence_network},
      {"network-reset", "a fleet's connections are reset", 0, 0, 5, kept, reset_network},
      {"network-slow", "a fleet's packets take their time", 1, 8, 2, kept, slow_network},
      {"names-dead", "no name can be resolved, and sessions end", 0.5, 8, 1, lost_if_long,
       kill_names},
      {"pooler-restart", "PgBouncer is killed and comes back", 0, 0, 1, kept, restart_pooler},
  };
  return all;
}

const Fault& fault_named(const std::string& name) {
  std::string names;
  for (const Fault& fault : catalogue()) {
    if (fault.name == name) return fault;
    names += " " + fault.name;
  }
  throw std::runtime_error("there is no fault \"" + name + "\"; there are:" + names);
}

}  // namespace pgforeman::test
