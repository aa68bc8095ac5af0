#include "options/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "options/table.h"
#include "options/value.h"

namespace pgforeman {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::string_view kHelpIndent = "      ";

/// "5m", "none", "the CPUs ...".
std::string_view default_of(const Option& option) {
  if (!option.default_note.empty()) return option.default_note;
  return option.default_text.empty() ? "none" : option.default_text;
}

/// "Allowed: 10ms to 1h. Default: 5m."
std::string facts(const Option& option) {
  const std::string allowed = limits(option);
  return fmt::format("{}Default: {}.", allowed.empty() ? "" : fmt::format("Allowed: {}. ", allowed),
                     default_of(option));
}

/// "--queue NAME", or a secret's variable.
std::string head_of(const Option& option) {
  if (option.secret) return fmt::format("{}={}", variable_of(option), option.value_name);
  return fmt::format("{} {}", flag_of(option), option.value_name);
}

std::string help_entry(const Option& option) {
  const std::string variable =
      option.secret ? "" : fmt::format("Variable: {}. ", variable_of(option));
  return fmt::format("  {}\n{}{}", head_of(option), wrapped(option.help, kHelpIndent, kWidth),
                     wrapped(variable + facts(option), kHelpIndent, kWidth));
}

/// The flag, the first sentence of its help and the default, in a line or two.
std::string brief_help_entry(const Option& option) {
  constexpr std::size_t kColumn = 34;
  const std::string head = head_of(option);
  const std::string_view sentence = option.help.substr(0, option.help.find(". "));
  std::string text = fmt::format("{}{}", sentence, sentence.back() == '.' ? "" : ".");
  if (!option.default_text.empty()) text += fmt::format(" [{}]", option.default_text);
  const std::string lines = wrapped(text, std::string(kColumn, ' '), kWidth);
  if (head.size() + 3 > kColumn) return fmt::format("  {}\n{}", head, lines);
  return fmt::format("  {:<{}}{}", head, kColumn - 2, lines.substr(kColumn));
}

std::string comment(std::string_view text) {
  return wrapped(text, "# ", kWidth);
}

/// A file with every option commented out, below `title` and `use`. `prefix` goes before each key;
/// `skip` is left out.
std::string sample(std::string_view title, std::string_view use, std::string_view prefix,
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
                       comment((option.secret ? "Secret. " : "") + facts(option)), prefix,
                       option.name, value);
  }
  return out +
         fmt::format(
             "\n{}#{}{}TZ=Europe/Berlin\n",
             comment("Each of these becomes a variable of the handler's environment, here TZ. No "
                     "other PGFOREMAN_ variable of the daemon reaches the handler, and no "
                     "PGPASSWORD."),
             prefix, kHandlerEnvPrefix);
}

/// One group's table and what is to say of each of its options.
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

std::string wrapped(std::string_view text, std::string_view indent, std::size_t width) {
  std::string out;
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > width) {
      out += fmt::format("{}{}\n", indent, line);
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  if (!line.empty()) out += fmt::format("{}{}\n", indent, line);
  return out;
}

std::string options_help(Command command, bool brief) {
  std::string out;
  std::string_view group;
  for (const Option& option : option_table()) {
    if (!is_for(option, command)) continue;
    if (option.group != group) {
      group = option.group;
      out += fmt::format("{}{}:\n", out.empty() ? "" : "\n", group);
    }
    out += brief ? brief_help_entry(option) : help_entry(option);
  }
  if (command == Command::run) out += "  PGFOREMAN_HANDLER_ENV_<NAME>=VALUE\n";
  if (brief) {
    return out + fmt::format(
                     "\nA flag's variable: --queue is PGFOREMAN_QUEUE. "
                     "`pgforeman {} --help=all` prints all about each.\n",
                     to_string(command));
  }
  if (command == Command::run) {
    out += wrapped(
        "Becomes NAME=VALUE in the handler's environment, which has no other PGFOREMAN_ variable "
        "of the daemon and no PGPASSWORD.",
        kHelpIndent, kWidth);
  }
  out += "\n  -h, --help\n      Print this help.\n\n";
  out += wrapped(
      "A flag wins over its variable, that over the config file, that over the default; an empty "
      "variable counts as unset. Durations have a unit: 500ms, 30s, 5m, 1.5h.",
      "", kWidth);
  return out;
}

std::string render_sample_env() {
  return sample(
      "The environment of pgforeman: every variable, with its default or an example.",
      "Copy it, remove the # before a line to set it, and hand the copy to the container (docker "
      "run --env-file, env_file: in a compose file). It is also a valid config file. A variable "
      "with an empty value counts as unset. Write values without quotes.",
      kVariablePrefix, "");
}

std::string render_config_file() {
  return sample(
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
