#include "render.h"

#include <fmt/format.h>

#include "options/help.h"
#include "options/table.h"
#include "options/value.h"

namespace pgforeman {
namespace {

constexpr std::size_t kWidth = 100;

std::string comment(std::string_view text) {
  return wrapped(text, "# ", kWidth);
}

/// Returns a file with every option commented out, below `title` and `use`. `prefix` is put before
/// each key; the option `skip` is left out.
std::string sample_file(std::string_view title, std::string_view use, std::string_view prefix,
                        std::string_view skip) {
  std::string out =
      fmt::format("{}#\n{}#\n{}", comment(title), comment(use),
                  comment("Made by tools/generate from src/options/table.cpp: change it there."));
  std::string_view group;
  for (const Option& option : option_table()) {
    if (option.name == skip) continue;
    if (option.group != group) {
      group = option.group;
      out += fmt::format("\n# --- {} {:-<{}}\n", group, "", kWidth - 7 - group.size());
    }
    const std::string_view value =
        option.default_text.empty() ? option.example : option.default_text;
    out += fmt::format("\n{}{}#{}{}={}\n", comment(option.help),
                       comment((option.secret ? "Secret. " : "") + allowed_and_default(option)),
                       prefix, option.name, value);
  }
  return out +
         fmt::format(
             "\n{}#{}{}TZ=Europe/Berlin\n",
             comment("Each of these becomes a variable of the handler's environment, here TZ. No "
                     "other PGFOREMAN_ variable of the daemon reaches the handler, and no "
                     "PGPASSWORD."),
             prefix, kHandlerEnvPrefix);
}

/// Returns a group's table of options, then a paragraph for each option.
std::string settings_group(std::string_view group) {
  std::string rows =
      "| Variable | Flag | Allowed | Default | HUP | Commands |\n"
      "|---|---|---|---|---|---|\n";
  std::string prose;
  for (const Option& option : option_table()) {
    if (option.group != group) continue;
    const std::string_view quote = option.default_text.empty() ? "" : "`";
    rows += fmt::format("| `{0}` | {1} | {2} | {6}{3}{6} | {4} | {5} |\n", variable_of(option),
                        option.secret ? "none: a secret" : "`" + flag_of(option) + "`",
                        limits(option).empty() ? "see below" : limits(option), default_of(option),
                        option.needs_restart ? "no" : "yes",
                        option.commands == kAllCommands ? "all" : names_of(option.commands), quote);
    std::string text = fmt::format("**{}**: {}", option.name, option.help);
    if (!option.range.because.empty()) text += fmt::format(" *Limits:* {}", option.range.because);
    prose += "\n" + wrapped(text, "", kWidth);
  }
  return fmt::format("\n### {}\n\n{}{}", group, rows, prose);
}

}  // namespace

std::string render_sample_env() {
  return sample_file(
      "The environment of pgforeman: every variable, with its default or an example.",
      "Copy it, remove the # before a line to set it, and hand the copy to the container (docker "
      "run --env-file, env_file: in a compose file). It is also a valid config file. A variable "
      "with an empty value counts as unset. Write values without quotes.",
      kVariablePrefix, "");
}

std::string render_config_file() {
  return sample_file(
      "The config file of pgforeman: every setting, with its default or an example.",
      "PGFOREMAN_CONFIG or --config names it. A line is KEY=value; blanks around key and value do "
      "not count, a # is a comment only at a line's start, and nothing is quoted. Keys may have "
      "the prefix PGFOREMAN_. Flags and environment variables win over it. HUP makes a running "
      "fleet read it again.",
      "", "CONFIG");
}

std::string render_settings() {
  std::string out = "## Settings\n";
  std::string_view group;
  for (const Option& option : option_table()) {
    if (option.group != group) out += settings_group(option.group);
    group = option.group;
  }
  return out;
}

}  // namespace pgforeman
