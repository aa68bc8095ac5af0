#include "options/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "options/value.h"

namespace pgforeman {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::string_view kHelpIndent = "      ";

/// Returns "--queue NAME", or "VARIABLE=URL" for a secret.
std::string head_of(const Option& option) {
  if (option.secret) return fmt::format("{}={}", variable_of(option), option.value_name);
  return fmt::format("{} {}", flag_of(option), option.value_name);
}

std::string help_entry(const Option& option) {
  const std::string variable =
      option.secret ? "" : fmt::format("Variable: {}. ", variable_of(option));
  return fmt::format("  {}\n{}{}", head_of(option), wrapped(option.help, kHelpIndent, kWidth),
                     wrapped(variable + allowed_and_default(option), kHelpIndent, kWidth));
}

/// Returns the flag, the first sentence of its help and the default, in a line or two.
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

}  // namespace

std::string_view default_of(const Option& option) {
  if (!option.default_note.empty()) return option.default_note;
  return option.default_text.empty() ? "none" : option.default_text;
}

std::string allowed_and_default(const Option& option) {
  const std::string allowed = limits(option);
  return fmt::format("{}Default: {}.", allowed.empty() ? "" : fmt::format("Allowed: {}. ", allowed),
                     default_of(option));
}

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

}  // namespace pgforeman
