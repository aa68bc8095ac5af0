#include "options/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <string_view>

#include "options/table.h"
#include "options/value.h"
#include "text/nearest.h"

namespace pgforeman {
namespace {

namespace po = boost::program_options;

/// Parses `--name=`, at which Program_options throws, and `--=value`, which it takes for a word.
std::vector<po::option> parse_odd_equals(std::vector<std::string>& words) {
  const std::string word = words.front();
  const std::size_t equals = word.find('=');
  if (!word.starts_with("--") || (equals != 2 && equals != word.size() - 1)) return {};
  po::option option(equals == 2 ? word : word.substr(2, equals - 2), {word.substr(equals + 1)});
  option.original_tokens = {word};
  words.erase(words.begin());
  return {option};
}

class Reader {
 public:
  Reader(Command command, std::span<const CommandFlag> flags) : command_(command), flags_(flags) {
    add_known("--help", true);
    for (const CommandFlag& flag : flags) add_known(fmt::format("--{}", flag.name), true);
    for (const Option& option : option_table()) {
      add_known(flag_of(option), !option.secret && is_for(option, command));
    }
  }

  CommandLine read(std::span<const char* const> args) {
    // Parses only the words before `--`, as Program_options does not tell which came after it.
    const auto end = std::find(args.begin(), args.end(), std::string_view("--"));
    po::command_line_parser parser(std::vector<std::string>(args.begin(), end));
    using namespace po::command_line_style;
    parser.options(known_).style(allow_long | long_allow_adjacent);
    parser.extra_style_parser(parse_odd_equals).allow_unregistered();
    for (const po::option& given : parser.run().options) take(given);
    std::for_each(end == args.end() ? end : end + 1, args.end(),
                  [&](const char* word) { line_.positionals.emplace_back(word); });
    return std::move(line_);
  }

 private:
  /// Makes every value optional, as Program_options throws if a required one is missing. It takes
  /// the next word as the value unless that begins with two dashes: `--delay -1` has a value.
  void add_known(const std::string& name, bool offered) {
    known_.add_options()(name.c_str() + 2, po::value<std::string>()->implicit_value(""));
    if (offered) offered_.push_back(name);
  }

  void take_plain_word(const std::string& word) {
    // `send QUEUE -1` sends a number, and a single dash means standard input.
    const bool plain = word.size() < 2 || word[0] != '-' || (word[1] >= '0' && word[1] <= '9');
    if (plain) return line_.positionals.push_back(word);
    if (word != "-h") return unknown(word.substr(0, word.find('=')));
    line_.help = true;
  }

  void take(const po::option& given) {
    const std::vector<std::string>& words = given.original_tokens;
    if (given.string_key.empty()) return take_plain_word(words[0]);
    // Errors print only the name, as the text after the equals sign may be a secret.
    const std::string name = words[0].substr(0, words[0].find('='));
    if (given.unregistered) return unknown(name);
    const std::string* value = given.value.empty() ? nullptr : &given.value[0];
    for (const Option& option : option_table()) {
      if (flag_of(option) == name) return take_option(option, name, value);
    }
    const bool takes_value = std::any_of(flags_.begin(), flags_.end(), [&](const auto& flag) {
      return !flag.value_name.empty() && flag.name == given.string_key;
    });
    if (!takes_value && words.size() > 1) {  // the next word is not its value
      value = nullptr;
      take_plain_word(words[1]);
    }
    line_.help |= name == "--help";
    line_.help_all |= words[0] == "--help=all";
    if (takes_value && value == nullptr) return needs_value(name);
    if (!takes_value && value != nullptr) return error(name + ": takes no value");
    line_.flags.push_back({given.string_key, takes_value ? *value : ""});
  }

  void take_option(const Option& option, const std::string& name, const std::string* value) {
    if (option.secret) {
      error(fmt::format(
          "{}: is not an option, because other users can see command lines; set {} or {}_FILE",
          name, variable_of(option), variable_of(option)));
    } else if (!is_for(option, command_)) {
      error(fmt::format("{}: is not an option of `pgforeman {}`; it is one of {}", name,
                        to_string(command_), names_of(option.commands)));
    } else if (value == nullptr) {
      needs_value(name);
    } else if (value->empty()) {
      error(name + ": needs a value that is not empty");
    } else if (!line_.values.emplace(option.name, *value).second) {
      error(name + ": was given twice");
    }
  }

  void needs_value(const std::string& name) {
    error(fmt::format("{0}: needs a value: {0} VALUE or {0}=VALUE", name));
  }

  void unknown(const std::string& name) {
    error(fmt::format("{}: is not an option of `pgforeman {}`{}", shown(name), to_string(command_),
                      did_you_mean(name, offered_)));
  }

  void error(std::string text) { line_.errors.push_back(std::move(text)); }

  Command command_;
  std::span<const CommandFlag> flags_;
  po::options_description known_;
  std::vector<std::string> offered_;  ///< for "did you mean"
  CommandLine line_;
};

}  // namespace

CommandLine split_command_line(Command command, std::span<const char* const> args,
                               std::span<const CommandFlag> flags) {
  return Reader(command, flags).read(args);
}

}  // namespace pgforeman
