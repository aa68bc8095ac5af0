#include "options/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "options/value.h"

namespace pgforeman {
namespace {

// Units of ranges: durations are in milliseconds, sizes in bytes.
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kWeek = 168 * kHour;
constexpr std::int64_t kTebibyte = std::int64_t{1} << 40U;

constexpr Commands kRun = commands_of(Command::run);
constexpr Commands kMigrate = commands_of(Command::migrate);
constexpr Commands kStatus = commands_of(Command::status);
constexpr Commands kHealth = commands_of(Command::health);
// Commands about one queue; commands that connect to the database; commands that use the endpoint.
constexpr Commands kQueue =
    kRun | commands_of(Command::send) | kStatus | commands_of(Command::dead);
constexpr Commands kDatabase = kQueue | kMigrate;
constexpr Commands kEndpoint = kRun | kStatus | kHealth;

constexpr std::array<std::string_view, 3> kHandlerModes = {"exec", "jsonl", "noop"};
constexpr std::array<std::string_view, 6> kStopSignals = {"TERM", "INT",  "QUIT",
                                                          "HUP",  "USR1", "USR2"};
constexpr std::array<std::string_view, 2> kYesNo = {"no", "yes"};
constexpr std::array<std::string_view, 2> kLogFormats = {"text", "json"};
constexpr std::array<std::string_view, 4> kLogLevels = {"debug", "info", "warn", "error"};

const Option kDatabaseOptions[] = {
    {.name = "DATABASE_URL",
     .target = &Options::database_url,
     .value_name = "URL",
     .default_note = "libpq's own PG* variables (PGHOST, PGUSER, PGDATABASE, ...)",
     .example = "postgresql://worker:secret@db:5432/app",
     .secret = true,
     .commands = kDatabase,
     .help = "Where PostgreSQL is: a postgresql:// URL or libpq's keyword=value pairs. It may hold "
             "a password, so no flag takes it and nothing prints it. In a URL, special characters "
             "of a password are percent-encoded and IPv6 addresses in brackets. Without it and "
             "DATABASE_URL_FILE libpq's own variables count; a mere DATABASE_URL never does."},
    {.name = "DATABASE_URL_FILE",
     .target = &Options::database_url_file,
     .value_name = "PATH",
     .rule = kPathRule,
     .example = "/run/secrets/database_url",
     .commands = kDatabase,
     .help = "A file that holds what DATABASE_URL would: one line; blanks and line ends around it "
             "are dropped. It is read again at every reconnect, so a rotated password needs no "
             "restart. Set this or DATABASE_URL, not both."},
};

const Option kQueueOptions[] = {
    {.name = "QUEUE",
     .target = &Options::queue,
     .default_text = "default",
     .rule = kQueueRule,
     .needs_restart = true,
     .commands = kQueue,
     .help = "The queue to work on. A queue exists as soon as something is sent to it."},
    {.name = "VISIBILITY_TIMEOUT",
     .target = &Options::visibility_timeout,
     .default_text = "30s",
     .range = {kSecond, 12 * kHour,
               "Below 1s a slow network loses leases; messages of a lost host wait for as long as "
               "this."},
     .help = "How long a claimed message is hidden from other consumers. The lease of a running "
             "message is renewed at a third of it, so it may be shorter than the handler takes; it "
             "is how long messages wait when a whole host is lost."},
    {.name = "BATCH",
     .target = &Options::batch,
     .default_text = "auto",
     .range = {1, 1000, "1,000 leases are renewed or settled by one statement in less than 10 ms."},
     .zero_word = "auto",
     .help = "How many messages a child claims at once. They are worked on one after the other, in "
             "order. More than one saves round trips when handlers take milliseconds; with slow "
             "handlers it keeps messages from idle siblings. auto measures the handler and "
             "claims as many as it handles in 50 ms, or in 2 ms while the queue is short; after "
             "250 ms of work it releases what has not begun."},
    {.name = "POLL_INTERVAL",
     .target = &Options::poll_interval,
     .default_text = "1s",
     .range = {10, kHour,
               "Below 10ms the polls alone load the server; beyond 1h a message that was missed "
               "waits for as long."},
     .help =
         "How often one of the idle consumers polls for all of them, where notifications do not "
         "work: through a pooler, or without maintenance. Else the maintenance process is "
         "notified of new messages, polls every 1.2 s besides, and wakes as many consumers as "
         "there is work for; then a consumer polls by itself once a minute."},
};

const Option kHandlerOptions[] = {
    {.name = "HANDLER",
     .target = &Options::handler,
     .value_name = "COMMAND",
     .default_note = "none; `run` requires it, but for HANDLER_MODE=noop",
     .example = "python3 /app/handler.py",
     .help =
         "The command that handles messages. It is split into words as a shell would (quotes and "
         "backslashes, but no variables, globs or pipes) and started without a shell; for one, "
         "write sh -c '...'. The program is looked up in PATH and checked before anything starts."},
    {.name = "HANDLER_MODE",
     .target = &Options::handler_mode,
     .default_text = "exec",
     .choices = kHandlerModes,
     .help = "How messages reach the handler. exec: a process per message, payload on standard "
             "input, outcome by exit code. jsonl: one long-lived process per child, a JSON line in "
             "for each message and a JSON line out. noop: no handler and no process, every message "
             "is done at once, unread; for measuring the queue, which must be empty when the fleet "
             "starts (see NOOP_DISCARDS)."},
    {.name = "NOOP_DISCARDS",
     .target = &Options::noop_discards,
     .default_text = "no",
     .choices = kYesNo,
     .help = "yes lets HANDLER_MODE=noop delete messages that were in the queue before the fleet "
             "started. Without it such a fleet claims nothing and ends with exit code 78: noop on "
             "a queue that matters is a mistake."},
    {.name = "HANDLER_TIMEOUT",
     .target = &Options::handler_timeout,
     .default_text = "5m",
     .range = {10, kWeek,
               "A process needs up to 10 ms to start and end; a message that runs longer than a "
               "week outlives the daemon's upgrades."},
     .help = "How long one message may take. A handler that takes longer is ended with everything "
             "it started, HANDLER_STOP_SIGNAL first, then KILL, and the message is retried."},
    {.name = "HANDLER_STOP_SIGNAL",
     .target = &Options::handler_stop_signal,
     .default_text = "TERM",
     .choices = kStopSignals,
     .help = "What a handler's process group gets when its time is up, SHUTDOWN_GRACE is over or "
             "its lease is lost. KILL follows after HANDLER_STOP_GRACE."},
    {.name = "HANDLER_STOP_GRACE",
     .target = &Options::handler_stop_grace,
     .default_text = "2s",
     .range = {10, 10 * kMinute,
               "A process needs up to 10 ms to react to a signal; a longer stop than 10m blocks "
               "deploys."},
     .help = "How long a handler may take to end after HANDLER_STOP_SIGNAL before it gets KILL. A "
             "fleet that stops ends within SHUTDOWN_GRACE and this together."},
    {.name = "HANDLER_MAX_MEMORY",
     .target = &Options::handler_max_memory,
     .default_text = "0",
     .range = {1 << 20U, kTebibyte, "0 is no limit; below 1MiB no program starts."},
     .example = "512MiB",
     .help =
         "Above how much resident memory a handler is killed, which counts a crash of its message "
         "(out_of_memory). It counts the handler with everything that it started, twice a second "
         "while a message runs; pages that processes share count for each of them."},
};

const Option kRetryOptions[] = {
    {.name = "MAX_ATTEMPTS",
     .target = &Options::max_attempts,
     .default_text = "5",
     .range = {1, 1000, "A message that failed 1,000 times is not expected to succeed."},
     .help = "How often a message is tried before it becomes a dead letter with its last error. A "
             "deploy or a drain costs no attempt, and neither does a crash."},
    {.name = "MAX_CRASHES",
     .target = &Options::max_crashes,
     .default_text = "3",
     .range = {1, 1000, "A message that killed 1,000 processes is expected to kill the next one."},
     .help = "How often a message may kill the process that runs it, its handler (a signal, lack "
             "of memory) or the consumer, before it becomes a dead letter with the evidence."},
    {.name = "MAX_CLAIMS",
     .target = &Options::max_claims,
     .default_text = "100",
     .range = {10, 1'000'000,
               "Below 10 a few deploys and lost hosts in a row would end good messages."},
     .help =
         "How often a message may be claimed without a run that ended, because hosts were lost or "
         "fleets stopped meanwhile, before it becomes a dead letter."},
    {.name = "RETRY_BACKOFF",
     .target = &Options::retry_backoff,
     .default_text = "1s",
     .range = {1, 24 * kHour,
               "A message that has to wait for longer than a day is better sent with a delay."},
     .help = "How long a message waits after its first failed attempt. It doubles with every "
             "further one, give or take 20 %. A delay that the handler asks for wins."},
    {.name = "RETRY_BACKOFF_MAX",
     .target = &Options::retry_backoff_max,
     .default_text = "5m",
     .range = {1, kWeek, "At most a week, as HANDLER_TIMEOUT."},
     .help = "Where the doubling of RETRY_BACKOFF ends. Must not be below it."},
};

const Option kFleetOptions[] = {
    {.name = "CONCURRENCY",
     .target = &Options::concurrency,
     .default_note = "the CPUs that this container may use",
     .range = {1, 1024,
               "Each child holds a connection to PostgreSQL, which works well with far fewer "
               "than 1024."},
     .example = "4",
     .help = "How many children work side by side, each with a handler and a database connection "
             "of its own (the fleet holds one connection more). The default heeds cgroup quotas, "
             "v1 and v2, and the affinity mask, rounded up. TTIN and TTOU add and remove a child "
             "while it runs."},
    {.name = "BOOT_TIMEOUT",
     .target = &Options::boot_timeout,
     .default_text = "30s",
     .range = {100, 10 * kMinute,
               "A busy host can take tens of milliseconds to start a process; a child that hangs "
               "is to be replaced within ten minutes."},
     .help = "How long a child may take from fork until it reports. One that takes longer is "
             "killed and replaced. Reaching the database is not part of it. A first fleet that "
             "cannot be forked within this time ends the daemon."},
    {.name = "SHUTDOWN_GRACE",
     .target = &Options::shutdown_grace,
     .default_text = "25s",
     .range = {0, kHour, "0s ends handlers at once; platforms do not wait longer than 1h."},
     .help = "How long running handlers may go on after TERM. Then they are ended and their "
             "messages released, the attempt not counted. Keep it, with HANDLER_STOP_GRACE, below "
             "the time your platform gives a container: 10 s in Docker (stop_grace_period), 30 s "
             "in Kubernetes (terminationGracePeriodSeconds)."},
    {.name = "RESTART_BACKOFF",
     .target = &Options::restart_backoff,
     .default_text = "100ms",
     .range = {10, kMinute, "Below 10ms a crash loop would cost a noticeable part of a core."},
     .help = "How long the slot of a child that ended before it was ready stays empty. It doubles "
             "with every such end in a row, give or take 20 %. A child that had been ready is "
             "replaced at once."},
    {.name = "RESTART_BACKOFF_MAX",
     .target = &Options::restart_backoff_max,
     .default_text = "30s",
     .range = {10, kHour, "An empty slot should be tried again within the hour."},
     .help = "Where the doubling of RESTART_BACKOFF ends. Must not be below it."},
    {.name = "MAX_MESSAGES",
     .target = &Options::max_messages,
     .default_text = "0",
     .range = {0, 1'000'000'000, "0 is never; 1,000,000,000 messages take years."},
     .help = "After how many messages a child is replaced, against leaks of whatever kind. The "
             "slots' own limits lie between nine tenths of it and all of it, so that children of "
             "one age do not reach them together. A planned end: no message is cut short or "
             "charged for it."},
    {.name = "MAX_MEMORY",
     .target = &Options::max_memory,
     .default_text = "0",
     .range = {32 << 20U, kTebibyte,
               "0 is never; below 32MiB children that have done nothing may exceed it."},
     .example = "512MiB",
     .help = "Above how much resident memory a child is replaced in the same way. It counts the "
             "child's own and its jsonl handler's, with what that started (an exec handler is gone "
             "between messages). It is looked at after a message, once a second at most, and never "
             "ends one that runs."},
    {.name = "CRASH_LOOP_COUNT",
     .target = &Options::crash_loop_count,
     .default_text = "5",
     .range = {1, 100,
               "1 counts a single failed start as a loop; more than 100 within "
               "CRASH_LOOP_WINDOW hardly happen."},
     .help = "How many children of a slot must end in a row before they were ready for the slot to "
             "count as crash-looping. The fleet is no longer live when every slot is."},
    {.name = "CRASH_LOOP_WINDOW",
     .target = &Options::crash_loop_window,
     .default_text = "60s",
     .range = {kSecond, kHour,
               "RESTART_BACKOFF keeps starts apart, so less than 1s has hardly two; failures an "
               "hour apart are not a loop."},
     .help = "The time within which CRASH_LOOP_COUNT failed starts make a slot crash-looping. The "
             "verdict is taken back when a child of the slot has been healthy for 60 s."},
};

const Option kHealthOptions[] = {
    {.name = "HEALTH_ADDRESS",
     .target = &Options::health_address,
     .value_name = "ADDRESS",
     .default_text = "::",
     .rule = kAddressRule,
     .needs_restart = true,
     .commands = kEndpoint,
     .help =
         "Where /livez, /readyz, /status and /metrics are served; for `status` and `health`, where "
         "to ask (0.0.0.0 and :: then mean this host). :: is every address, IPv4 and IPv6, or IPv4 "
         "alone where there is no IPv6. A name is refused: looking it up could hang a start."},
    {.name = "HEALTH_PORT",
     .target = &Options::health_port,
     .value_name = "PORT",
     .default_text = "8080",
     .range = {0, 65535, "Ports below 1024 need a right that a container's user seldom has."},
     .needs_restart = true,
     .commands = kEndpoint,
     .help = "The endpoint's port. 0 takes any free one, which the log then names. A port that is "
             "taken ends the start before anything is forked."},
};

const Option kLogOptions[] = {
    {.name = "LOG_FORMAT",
     .target = &Options::log_format,
     .default_text = "text",
     .choices = kLogFormats,
     .help = "text for people, json (one object a line) for machines."},
    {.name = "LOG_LEVEL",
     .target = &Options::log_level,
     .default_text = "info",
     .choices = kLogLevels,
     .help = "The least serious lines to write. No line has a payload or a password."},
    {.name = "CONFIG",
     .target = &Options::config,
     .value_name = "PATH",
     .rule = kPathRule,
     .example = "/etc/pgforeman/pgforeman.conf",
     .needs_restart = true,
     .commands = kAllCommands,
     .help =
         "A file of KEY=value lines with any of these settings. HUP makes `run` read it again."},
};

// Placeholders for values, in the order of the types in Target.
constexpr std::array<std::string_view, std::variant_size_v<Target>> kValueNames = {
    "NAME", "N", "DURATION", "SIZE", "MODE", "SIGNAL", "YES|NO", "FORMAT", "LEVEL"};

std::vector<Option> all_options() {
  std::vector<Option> all;
  const auto add = [&](std::string_view group, std::span<const Option> options) {
    for (Option option : options) {
      option.group = group;
      if (option.value_name.empty()) option.value_name = kValueNames[option.target.index()];
      all.push_back(option);
    }
  };
  add("Database", kDatabaseOptions);
  add("Queue", kQueueOptions);
  add("Handler", kHandlerOptions);
  add("Retries", kRetryOptions);
  add("Fleet", kFleetOptions);
  add("Health endpoint", kHealthOptions);
  add("Logs and configuration", kLogOptions);
  return all;
}

}  // namespace

std::span<const Option> option_table() {
  static const std::vector<Option> table = all_options();
  return table;
}

std::vector<std::string> option_names(std::string_view prefix) {
  std::vector<std::string> names;
  for (const Option& option : option_table())
    names.push_back(fmt::format("{}{}", prefix, option.name));
  return names;
}

const Option* find_option(std::string_view name) {
  const auto table = option_table();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const Option& option) { return option.name == name; });
  return found == table.end() ? nullptr : &*found;
}

std::string variable_of(const Option& option) {
  return std::string(kVariablePrefix) + std::string(option.name);
}

std::string flag_of(const Option& option) {
  std::string flag = "--";
  for (const char c : option.name) {
    flag += c == '_' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return flag;
}

bool is_for(const Option& option, Command command) {
  return (option.commands & commands_of(command)) != 0;
}

std::string names_of(Commands commands) {
  std::string text;
  for (std::size_t i = 0; i < std::size(kCommandNames); ++i) {
    if ((commands & (1U << i)) == 0) continue;
    text += fmt::format("{}`{}`", text.empty() ? "" : ", ", kCommandNames[i]);
  }
  return text;
}

}  // namespace pgforeman
