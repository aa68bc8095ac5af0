// sample.env and config/pgforeman.conf: every option with its explanation, commented out.

#include <fmt/format.h>

#include "options/render.h"
#include "options/value.h"

namespace pgforeman {
namespace {

constexpr std::string_view kMadeBy =
    "Made by tools/generate from src/options/table.cpp: change it there.";

std::string comment(std::string_view text) {
  return wrapped(text, "# ", kRenderWidth);
}

std::string sample_facts(const Option& option) {
  std::string text;
  if (option.secret) text += "Secret. ";
  const std::string allowed = limits(option);
  if (!allowed.empty()) text += fmt::format("Allowed: {}. ", allowed);
  text += fmt::format("Default: {}.", default_of(option));
  return text;
}

/// `prefix` goes before each key; `skip` is left out.
std::string settings(std::string_view prefix, std::string_view skip) {
  std::string out;
  std::string_view group;
  for (const Option& option : option_table()) {
    if (option.name == skip) continue;
    if (option.group != group) {
      group = option.group;
      const std::string rule(kRenderWidth - 7 - group.size(), '-');
      out += fmt::format("\n# --- {} {}\n", group, rule);
    }
    const std::string_view value =
        option.default_text.empty() ? option.example : option.default_text;
    out += fmt::format("\n{}{}#{}{}={}\n", comment(option.help), comment(sample_facts(option)),
                       prefix, option.name, value);
  }
  out += fmt::format(
      "\n{}#{}{}TZ=Europe/Berlin\n",
      comment("Each of these becomes a variable of the handler's environment, here TZ. No other "
              "PGFOREMAN_ variable of the daemon reaches the handler, and no PGPASSWORD."),
      prefix, kHandlerEnvPrefix);
  return out;
}

}  // namespace

std::string render_sample_env() {
  return "# The environment of pgforeman: every variable, with its default or an example.\n#\n" +
         comment(
             "Copy it, remove the # before a line to set it, and hand the copy to the container "
             "(docker run --env-file, env_file: in a compose file). It is also a valid config "
             "file. A variable with an empty value counts as unset. Write values without quotes.") +
         "#\n" + comment(kMadeBy) + settings(kVariablePrefix, "");
}

std::string render_config_file() {
  return "# The config file of pgforeman: every setting, with its default or an example.\n#\n" +
         comment(
             "PGFOREMAN_CONFIG or --config names it. A line is KEY=value; blanks around key and "
             "value do not count, a # is a comment only at a line's start, and nothing is quoted. "
             "Keys may have the prefix PGFOREMAN_. Flags and environment variables win over it. "
             "HUP makes a running fleet read it again.") +
         "#\n" + comment(kMadeBy) + settings("", "CONFIG");
}

}  // namespace pgforeman
