// The rows of the table that are about the fleet's processes.

#include "options/table.h"
#include "options/table_units.h"

namespace pgforeman {
namespace {

const Option kFleetOptions[] = {
    {.name = "CONCURRENCY",
     .target = &Options::concurrency,
     .default_note = "the CPUs that this container may use",
     .least = 1,
     .most = 1024,
     .limits_because = "Each child is a connection to PostgreSQL: far fewer than 1024 are good for "
                       "a server, so more are taken for a slip.",
     .example = "4",
     .help = "How many children work side by side, each with a handler and a database connection "
             "of its own (the fleet holds one connection more). The default heeds cgroup quotas, "
             "v1 and v2, and the affinity mask, rounded up. TTIN and TTOU add and remove a child "
             "while it runs."},
    {.name = "BOOT_TIMEOUT",
     .target = &Options::boot_timeout,
     .default_text = "30s",
     .least = 100,
     .most = 10 * kMinute,
     .limits_because = "A busy host can take tens of milliseconds to run a new process; a child "
                       "that hangs longer than ten minutes should have been noticed.",
     .help = "How long a child may take from fork until it reports. One that takes longer is "
             "killed and replaced. Reaching the database is not part of it. A first fleet that "
             "cannot be forked within this time ends the daemon."},
    {.name = "SHUTDOWN_GRACE",
     .target = &Options::shutdown_grace,
     .default_text = "25s",
     .least = 0,
     .most = kHour,
     .limits_because = "0s ends handlers at once; platforms seldom wait for an hour.",
     .help = "How long running handlers may go on after TERM. Then they are ended and their "
             "messages released, the attempt not counted. Keep it, with HANDLER_STOP_GRACE, below "
             "the time your platform gives a container: 10 s in Docker (stop_grace_period), 30 s "
             "in Kubernetes (terminationGracePeriodSeconds)."},
    {.name = "RESTART_BACKOFF",
     .target = &Options::restart_backoff,
     .default_text = "100ms",
     .least = 10,
     .most = kMinute,
     .limits_because = "Below 10ms a crash loop would cost a noticeable part of a core.",
     .help = "How long the slot of a child that ended before it was ready stays empty. It doubles "
             "with every such end in a row, give or take 20 %. A child that had been ready is "
             "replaced at once."},
    {.name = "RESTART_BACKOFF_MAX",
     .target = &Options::restart_backoff_max,
     .default_text = "30s",
     .least = 10,
     .most = kHour,
     .limits_because = "An empty slot should be tried again within the hour.",
     .help = "Where the doubling of RESTART_BACKOFF ends. Must not be below it."},
    {.name = "MAX_MESSAGES",
     .target = &Options::max_messages,
     .default_text = "0",
     .least = 0,
     .most = 1'000'000'000,
     .limits_because = "0 is never, and a billion takes years.",
     .help = "After how many messages a child is replaced, against leaks of whatever kind. The "
             "slots' own limits lie between nine tenths of it and all of it, so that children of "
             "one age do not reach them together, and at most a tenth of the fleet (at least one "
             "child) is replaced at a time: until its turn comes a child works on. A planned end: "
             "no message is cut short or charged for it."},
    {.name = "MAX_MEMORY",
     .target = &Options::max_memory,
     .default_text = "0",
     .least = 32 << 20U,
     .most = kTebibyte,
     .limits_because = "0 is never; a child that has done nothing yet has some MiB already.",
     .example = "512MiB",
     .help = "Above how much resident memory a child is replaced in the same way. It counts the "
             "child's own and its jsonl handler's, with what that started (an exec handler is gone "
             "between messages). It is looked at after a message, once a second at most, and never "
             "ends one that runs."},
    {.name = "CRASH_LOOP_COUNT",
     .target = &Options::crash_loop_count,
     .default_text = "5",
     .least = 1,
     .most = 100,
     .limits_because =
         "With 1 a single failed start is a verdict; beyond 100 there would never be one.",
     .help = "How many children of a slot must end in a row before they were ready for the slot to "
             "count as crash-looping. The fleet is no longer live when every slot is."},
    {.name = "CRASH_LOOP_WINDOW",
     .target = &Options::crash_loop_window,
     .default_text = "60s",
     .least = kSecond,
     .most = kHour,
     .limits_because = "Two starts within less than a second are hardly possible; an hour apart "
                       "they are no loop.",
     .help = "The time within which CRASH_LOOP_COUNT failed starts make a slot crash-looping. The "
             "verdict is taken back when a child of the slot has been healthy for 60 s."},
};

}  // namespace

std::span<const Option> fleet_options() {
  return kFleetOptions;
}

}  // namespace pgforeman
