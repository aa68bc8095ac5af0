// docs/configuration.md.

#include <fmt/format.h>

#include <set>

#include "options/render.h"
#include "options/value.h"

namespace pgforeman {
namespace {

constexpr std::string_view kIntroduction =
    R"(<!-- Made by tools/generate from src/options/table.cpp and render_doc.cpp: change it there. -->

# Configuration

Every setting has one name. `HANDLER_TIMEOUT`, say, is the variable `PGFOREMAN_HANDLER_TIMEOUT`, the
flag `--handler-timeout` and the key `HANDLER_TIMEOUT` of the config file. In a container the
variables are usually all you need; the smallest setup is a database and a handler:

```sh
PGFOREMAN_DATABASE_URL=postgresql://worker:secret@db/app PGFOREMAN_HANDLER=./handler.sh pgforeman run
```

`pgforeman COMMAND --help` prints the settings of that command. [`sample.env`](../sample.env) and
[`config/pgforeman.conf`](../config/pgforeman.conf) list all of them, ready to be copied.

## Which value wins

1. The **flag**: `--queue mail` or `--queue=mail`. Given twice, it is a mistake.
2. The **environment variable**: `PGFOREMAN_QUEUE=mail`. An empty value counts as unset, because
   compose files pass variables that way.
3. The **config file**: `QUEUE=mail`.
4. The **default**.

Only the value that wins is checked, and only by the commands that use the setting.

## What values look like

- **Durations** are a number and a unit, with nothing between: `500ms`, `30s`, `5m`, `1.5h`. A bare
  number is refused: it would be a guess whether `30` means seconds.
- **Sizes** are bytes, or a number and a unit of `KiB`, `MiB` or `GiB`: `512MiB`, `1.5GiB`.
- **Numbers** are whole and decimal.
- **The handler** is a command line. It is split into words as a shell would split it, with quotes
  and backslashes, but nothing is expanded and no shell is started. Write `sh -c '...'` for one.

## Mistakes

A start reports all its mistakes at once, before anything is forked or connected, and exits with
code 78. Each line names the setting the way you gave it, its value, and what is allowed:

```
PGFOREMAN_CONCURRENCY=5000: must be a whole number from 1 to 1024
--handler-timeout=30: has no unit; must be a duration from 10ms to 168h with a unit of ms, s, m or h, such as 5m
/etc/pgforeman/pgforeman.conf:3: HANDLR: is no option; did you mean HANDLER?
```

An unknown flag and an unknown key of the config file are mistakes. An unknown `PGFOREMAN_*` variable
is only a warning, with the nearest known name: environments are shared, and Kubernetes adds variables
of its own. It does so for a Service that is called `pgforeman` or `pgforeman-...`; one called
`pgforeman-health` would set `PGFOREMAN_HEALTH_PORT` to a URL. `enableServiceLinks: false` in the pod's
spec turns that off.

## The config file

`PGFOREMAN_CONFIG` or `--config` names a file of `KEY=value` lines:

```
# Comments stand on lines of their own.
QUEUE = mail
HANDLER = python3 /app/handler.py --subject "Hello there"
HANDLER_ENV_SMTP_HOST = mail.internal
```

- Keys may carry the prefix `PGFOREMAN_`, so a file of environment variables such as `sample.env` is a
  valid config file.
- Blanks around key and value do not count.
- `#` begins a comment only at the start of a line; further on it is part of the value, so a password
  may hold one.
- Nothing is quoted: quotes are part of the value (and those of `HANDLER` keep its words together).
  Compose strips quotes that enclose the whole value of an `env_file`; leave them away and both read
  the same.
- An empty value counts as unset. A key that is given twice is a mistake.

## Secrets

- `PGFOREMAN_DATABASE_URL` may hold a password. No flag takes it, because other users can see command
  lines, and no message prints it, also not when it cannot be parsed.
- `PGFOREMAN_DATABASE_URL_FILE` names a file that holds it instead, such as a mounted secret. It is
  read again at every reconnect, so a rotated password needs no restart.
- When neither is set, libpq's own variables apply (`PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`,
  `PGPASSWORD`, `PGPASSFILE`, `PGSERVICE`, `PGSSLMODE`, ...).
- `PGFOREMAN_DATABASE_URL` and `PGPASSWORD` are taken out of the process's environment first thing and
  overwritten in place, so `/proc/PID/environ` no longer shows them. `PGPASSWORD` still counts for an
  address without a password of its own; it then also wins over the password of a service file.
- The **handler's environment** is that of the daemon without `PGPASSWORD` and without every
  `PGFOREMAN_*` variable; the variables of a message are added to it (see
  [handlers.md](handlers.md)). What a handler shall have, a database URL of its own for example, is
  given as `PGFOREMAN_HANDLER_ENV_<NAME>`: `PGFOREMAN_HANDLER_ENV_DATABASE_URL=...` becomes
  `DATABASE_URL=...`. Working directory, locale and time zone are inherited.

## Changing a running fleet

`HUP` makes `pgforeman run` read the config file and the files it names again; flags and variables are
what they were at the start. If there is a mistake, it is logged and the old settings stay. Otherwise the
children are replaced one by one. In the tables below **HUP** says whether a setting can change this
way; those that cannot need a restart, and the log says so.

## Settings
)";

std::string default_text(const Option& option) {
  const std::string text = default_of(option);
  return option.default_text.empty() ? text : "`" + text + "`";
}

std::string table_of(std::string_view group) {
  std::string rows =
      "| Variable | Flag | Allowed | Default | HUP | Commands |\n"
      "|---|---|---|---|---|---|\n";
  std::string prose;
  for (const Option& option : option_table()) {
    if (option.group != group) continue;
    rows += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", variable_of(option),
                        option.secret ? "none: a secret" : "`" + flag_of(option) + "`",
                        limits(option).empty() ? "see below" : limits(option), default_text(option),
                        option.needs_restart ? "no" : "yes",
                        option.commands == kAllCommands ? "all" : names_of(option.commands));
    std::string text = fmt::format("**{}**: {}", option.name, option.help);
    if (!option.limits_because.empty()) text += fmt::format(" *Limits:* {}", option.limits_because);
    prose += "\n" + wrapped(text, "", 100);
  }
  return fmt::format("\n### {}\n\n{}{}", group, rows, prose);
}

}  // namespace

std::string render_configuration() {
  std::string out(kIntroduction);
  std::set<std::string_view> printed;
  for (const Option& option : option_table()) {
    if (printed.insert(option.group).second) out += table_of(option.group);
  }
  return out;
}

}  // namespace pgforeman
