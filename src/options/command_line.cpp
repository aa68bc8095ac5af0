#include "options/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/nearest.h"
#include "options/table.h"
#include "options/value.h"

namespace pgforeman {
namespace {

std::string names_of(Commands commands) {
  std::string text;
  for (std::size_t i = 0; i < std::size(kCommandNames); ++i) {
    if ((commands & (1U << i)) == 0) continue;
    text += fmt::format("{}`{}`", text.empty() ? "" : ", ", kCommandNames[i]);
  }
  return text;
}

class Splitter {
 public:
  Splitter(Command command, std::span<const char* const> args, std::span<const CommandFlag> flags)
      : command_(command), args_(args), flags_(flags) {}

  CommandLine split() {
    bool flags_ended = false;
    while (at_ < args_.size()) {
      const std::string_view word = args_[at_++];
      if (flags_ended || !is_flag(word)) {
        line_.positionals.emplace_back(word);
      } else if (word == "--") {
        flags_ended = true;
      } else if (word == "--help" || word == "-h") {
        line_.help = true;
      } else if (word == "--help=all") {
        line_.help = line_.help_all = true;
      } else {
        take_flag(word);
      }
    }
    return std::move(line_);
  }

 private:
  static bool is_flag(std::string_view word) {
    // `send QUEUE -1` sends a number, and a lone dash stands for standard input.
    return word.size() >= 2 && word[0] == '-' && !(word[1] >= '0' && word[1] <= '9');
  }

  void take_flag(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string name(word.substr(0, equals));
    std::optional<std::string> value;
    if (equals != std::string_view::npos) value = std::string(word.substr(equals + 1));

    for (const CommandFlag& flag : flags_) {
      if ("--" + flag.name == name) return take_command_flag(flag, name, std::move(value));
    }
    for (const Option& option : option_table()) {
      // Secrets are looked up by the flag they do not have, to say so and to swallow the value.
      if (flag_of(option) == name) return take_option(option, name, std::move(value));
    }
    // Only the name is printed: what follows the equals sign may be a secret.
    error(fmt::format("{}: is no option of `pgforeman {}`{}", shown(name), to_string(command_),
                      did_you_mean(name, known_flags())));
  }

  void take_command_flag(const CommandFlag& flag, const std::string& name,
                         std::optional<std::string> value) {
    if (!flag.takes_value && value) return error(name + ": takes no value");
    if (flag.takes_value && !value) value = next_value(name);
    if (flag.takes_value && !value) return;
    line_.found.push_back({flag.name, value.value_or("")});
  }

  void take_option(const Option& option, const std::string& name,
                   std::optional<std::string> value) {
    if (option.secret) {
      if (!value && at_ < args_.size()) ++at_;
      return error(fmt::format(
          "{}: is no option, because other users can see command lines; set {} or {}_FILE", name,
          variable_of(option), variable_of(option)));
    }
    if (!value) value = next_value(name);
    if (!value) return;
    if (!is_for(option, command_)) {
      return error(fmt::format("{}: is no option of `pgforeman {}`; it is one of {}", name,
                               to_string(command_), names_of(option.commands)));
    }
    if (value->empty()) return error(name + ": needs a value that is not empty");
    if (!line_.values.emplace(std::string(option.name), std::move(*value)).second) {
      error(name + ": was given twice");
    }
  }

  /// The next word as a value. Not one with two dashes: that is the next flag, its value forgotten.
  std::optional<std::string> next_value(const std::string& name) {
    if (at_ == args_.size() || std::string_view(args_[at_]).substr(0, 2) == "--") {
      error(fmt::format("{0}: needs a value: {0} VALUE or {0}=VALUE", name));
      return std::nullopt;
    }
    return std::string(args_[at_++]);
  }

  std::vector<std::string> known_flags() const {
    std::vector<std::string> names = {"--help"};
    for (const CommandFlag& flag : flags_) names.push_back("--" + flag.name);
    for (const Option& option : option_table()) {
      if (!option.secret && is_for(option, command_)) names.push_back(flag_of(option));
    }
    return names;
  }

  void error(std::string text) { line_.errors.push_back(std::move(text)); }

  Command command_;
  std::span<const char* const> args_;
  std::span<const CommandFlag> flags_;
  std::size_t at_ = 0;
  CommandLine line_;
};

}  // namespace

CommandLine split_command_line(Command command, std::span<const char* const> args,
                               std::span<const CommandFlag> flags) {
  return Splitter(command, args, flags).split();
}

}  // namespace pgforeman
