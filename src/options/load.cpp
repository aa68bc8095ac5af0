#include "options/load.h"

#include <fmt/format.h>

#include <set>
#include <stdexcept>
#include <string>

#include "options/command_line.h"
#include "options/config_file.h"
#include "options/conninfo.h"
#include "options/conninfo_mistakes.h"
#include "options/handler_command.h"
#include "options/table.h"
#include "options/value.h"
#include "system/cpu_limit.h"
#include "text/nearest.h"
#include "text/quantity.h"

namespace pgforeman {
namespace {

// The search path of a shell while PATH is unset.
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

/// Returns `problem`; hides the part in quotes if it may hold a password, even cut or escaped.
std::string without_quoted(const std::string& problem) {
  const auto from = problem.find('\''), to = problem.rfind('\'');
  if (from == to || !may_hold_password(problem.substr(from, to - from))) return problem;
  return problem.substr(0, from) + "'...'" + problem.substr(to + 1);
}

class Loader {
 public:
  explicit Loader(const LoadInput& input) : input_(input), command_(input.command) {}

  LoadResult load() {
    CommandLine line = split_command_line(command_, input_.args, input_.flags);
    result_.help = line.help;
    result_.help_all = line.help_all;
    if (line.help) return std::move(result_);
    result_.errors = std::move(line.errors);
    result_.positionals = std::move(line.positionals);
    result_.flags = std::move(line.flags);

    // Strongest source first: the first one that names an option wins.
    for (const auto& [name, value] : line.values) add(name, flag_of(*find_option(name)), value);
    add_environment();
    add_config_file();
    for (const Option& option : option_table()) {
      if (is_for(option, command_)) set(option);
    }
    check_together();
    if (command_ == Command::run) prepare_handler();
    return std::move(result_);
  }

 private:
  /// Adds a value unless a stronger source gave one. `where`: "--queue", "PGFOREMAN_QUEUE",
  /// "FILE:3: QUEUE".
  void add(const std::string& name, const std::string& where, const std::string& value) {
    if (values_.emplace(name, value).second) result_.given.emplace(name, where);
  }

  void add_environment() {
    EnvironmentSettings settings = scan_environment(input_.environment);
    for (const auto& [name, value] : settings.values) {
      add(name, variable_of(*find_option(name)), value);
    }
    handler_env_ = std::move(settings.handler_env);
    result_.warnings = std::move(settings.warnings);
  }

  void add_config_file() {
    if (!is_given("CONFIG")) return;
    const Option& config = *find_option("CONFIG");
    const std::string path = value_of(config);
    if (!config.rule.holds(path)) return;  // set() reports it
    ConfigFile file = read_config_file(path);
    for (std::string& text : file.errors) file_error(std::move(text));
    for (const ConfigLine& line : file.lines) {
      const std::string where = fmt::format("{}:{}: {}", shown(path), line.number, line.key);
      if (line.key == "CONFIG") {
        file_error(where + ": a config file cannot name another");
      } else if (find_option(line.key) != nullptr) {
        if (!line.value.empty()) add(line.key, where, line.value);
      } else if (!add_handler_env(line)) {
        file_error(where + ": is not an option" + did_you_mean(line.key, option_names()));
      }
    }
  }

  bool add_handler_env(const ConfigLine& line) {
    if (line.key.compare(0, kHandlerEnvPrefix.size(), kHandlerEnvPrefix) != 0) return false;
    const std::string name = line.key.substr(kHandlerEnvPrefix.size());
    if (!is_variable_name(name)) return false;
    if (!line.value.empty()) handler_env_.emplace(name, line.value);
    return true;
  }

  /// Reports only a warning for `health`: the probe of a fleet that runs with its old settings must
  /// not fail while an operator edits the file.
  void file_error(std::string text) {
    auto& list = command_ == Command::health ? result_.warnings : result_.errors;
    list.push_back(std::move(text));
  }

  void set(const Option& option) {
    if (is_given(option.name)) {
      const std::string& value = value_of(option);
      if (is_service_link(value) && !option.secret) return service_link_error(option);
      if (auto problem = set_value(option, value, result_.options)) value_error(option, *problem);
    } else if (option.name == "CONCURRENCY") {
      result_.options.concurrency = input_.cpus;
    } else if (!option.default_text.empty()) {
      set_value(option, option.default_text, result_.options);
    }
  }

  /// Reports a value that Kubernetes set: a Service pgforeman-health makes PGFOREMAN_HEALTH_PORT.
  void service_link_error(const Option& option) {
    mistaken_.insert(std::string(option.name));
    result_.errors.push_back(fmt::format(
        "{}={}: is a service link, which Kubernetes sets for a Service with a name that makes "
        "this variable (pgforeman-health makes PGFOREMAN_HEALTH_PORT): set enableServiceLinks: "
        "false in "
        "the pod's spec, or rename the Service; it {}",
        where_of(option), shown(value_of(option)), "must be " + allowed_values(option)));
  }

  /// Returns a hint for a value in quotes: env files and config files do not remove them.
  static std::string_view quotes_hint(std::string_view value) {
    const bool quoted = value.size() > 1 && value.front() == value.back() &&
                        (value.front() == '"' || value.front() == '\'');
    return quoted ? "; its quotes are part of the value: write it without" : "";
  }

  /// Reports an error about a given value: "PGFOREMAN_BATCH=0: must be ...".
  void value_error(const Option& option, const std::string& problem) {
    const std::string& where = where_of(option);
    const std::string& value = value_of(option);
    mistaken_.insert(std::string(option.name));
    const bool hidden = option.secret || may_hold_password(value);
    result_.errors.push_back(
        hidden ? fmt::format("{}: {}", where, without_quoted(problem))
               : fmt::format("{}={}: {}{}", where, shown(value), problem, quotes_hint(value)));
  }

  // value_of() and where_of() require that the option was given.
  const std::string& value_of(const Option& option) const {
    return values_.find(option.name)->second;
  }
  const std::string& where_of(const Option& option) const {
    return result_.given.find(option.name)->second;
  }
  bool is_given(std::string_view name) const { return values_.find(name) != values_.end(); }
  bool is_wrong(std::string_view name) const { return mistaken_.count(std::string(name)) > 0; }

  void check_together() {
    check_order(*find_option("RETRY_BACKOFF"), *find_option("RETRY_BACKOFF_MAX"));
    check_order(*find_option("RESTART_BACKOFF"), *find_option("RESTART_BACKOFF_MAX"));
    if (is_for(*find_option("DATABASE_URL"), command_)) check_database();
    const bool asks = command_ == Command::status || command_ == Command::health;
    if (asks && is_given("HEALTH_PORT") && !is_wrong("HEALTH_PORT") &&
        result_.options.health_port == 0) {
      value_error(*find_option("HEALTH_PORT"),
                  "only the running fleet knows which free port it took; its log names it");
    }
  }

  void check_order(const Option& low, const Option& high) {
    const auto value = [&](const Option& option) {
      return result_.options.*std::get<Millis Options::*>(option.target);
    };
    if (is_wrong(low.name) || is_wrong(high.name) || value(low) <= value(high)) return;
    if (is_given(high.name)) {
      value_error(high,
                  fmt::format("must not be below {} ({}{})", low.name, format_duration(value(low)),
                              is_given(low.name) ? "" : " by default"));
    } else {
      value_error(low, fmt::format("must not be above {} ({} by default)", high.name,
                                   format_duration(value(high))));
    }
  }

  void check_database() {
    const Option& url = *find_option("DATABASE_URL");
    const Option& file = *find_option("DATABASE_URL_FILE");
    if (is_given(url.name) && is_given(file.name)) {
      result_.errors.push_back(fmt::format("{} and {} are both set; set only one of them",
                                           where_of(url), where_of(file)));
    }
    if (is_given(url.name) && result_.options.database_url.empty()) {
      value_error(url, "holds nothing but blanks; it must be a postgresql:// URL");
    } else if (is_given(url.name)) {
      if (auto problem = conninfo_problem(result_.options.database_url)) value_error(url, *problem);
    }
    if (is_given(file.name) && !is_wrong(file.name)) {
      const Parsed<std::string> text = read_conninfo_file(result_.options.database_url_file);
      if (!text) value_error(file, "the file " + text.problem);
    }
    check_libpq_variables(is_given(url.name) || is_given(file.name));
  }

  void check_libpq_variables(bool address_given) {
    if (!address_given) {
      if (const auto other = foreign_address_variable(input_.environment)) {
        result_.errors.push_back(fmt::format(
            "PGFOREMAN_DATABASE_URL: is not set. {0} is, but pgforeman does not read it, "
            "because the database may be another program's: set "
            "PGFOREMAN_DATABASE_URL to the same address, or PGHOST",
            *other));
        return;
      }
    }
    std::string conninfo;
    try {
      conninfo = resolve_conninfo(result_.options);
    } catch (const std::runtime_error&) {
      return;  // the unreadable file is reported already
    }
    for (std::string& text : libpq_variable_mistakes(input_.environment, conninfo)) {
      result_.errors.push_back(std::move(text));
    }
  }

  void prepare_handler() {
    Options& options = result_.options;
    options.handler_environment = make_handler_environment(input_.environment, handler_env_);
    const Option& handler = *find_option("HANDLER");
    if (options.handler_mode == HandlerMode::noop) {
      result_.warnings.push_back(
          "HANDLER_MODE=noop is for measuring: every message is done at once, no handler sees it");
      return;
    }
    if (!is_given(handler.name)) {
      result_.errors.push_back(fmt::format(
          "{}: is not set; it must be the command that handles messages, such as {}, unless {} is "
          "noop",
          variable_of(handler), handler.example, variable_of(*find_option("HANDLER_MODE"))));
      return;
    }
    const std::string_view path = value_in(input_.environment, "PATH");
    auto argv = resolve_handler(options.handler, path.empty() ? kDefaultPath : path);
    const std::string word = shell_syntax_in(options.handler);
    if (!argv) {
      return value_error(handler, word.empty() ? argv.problem
                                               : argv.problem + "; no shell reads it, so '" + word +
                                                     "' stays as it is");
    }
    options.handler_argv = std::move(*argv.value);
    if (!word.empty()) {
      result_.warnings.push_back(
          fmt::format("{}: no shell reads it, so the handler gets '{}' as a word; write sh -c "
                      "'...' for a shell",
                      where_of(handler), word));
    }
  }

  const LoadInput& input_;
  Command command_;
  LoadResult result_;
  StringMap values_;  ///< "QUEUE" -> value as given
  std::set<std::string> mistaken_;
  StringMap handler_env_;
};

}  // namespace

LoadResult load_from(const LoadInput& input) {
  return Loader(input).load();
}

LoadResult load_options(Command command, std::span<const char* const> args,
                        std::span<const CommandFlag> flags) {
  LoadInput input{command, args, flags, process_environment()};
  if (command == Command::run) {
    const int most = static_cast<int>(find_option("CONCURRENCY")->range.most);
    input.cpus = cpu_limit(affinity_cpus(), cgroup_cpu_quota(), most);
  }
  return load_from(input);
}

std::vector<std::string> changed_options(const Options& before, const Options& after,
                                         std::vector<std::string>* needs_restart) {
  std::vector<std::string> names;
  for (const Option& option : option_table()) {
    // The same command may now be another program, if PATH or its directories changed.
    const bool same = same_value(option, before, after) &&
                      (option.name != "HANDLER" || before.handler_argv == after.handler_argv);
    if (same) continue;
    names.emplace_back(option.name);
    if (option.needs_restart && needs_restart != nullptr) needs_restart->emplace_back(option.name);
  }
  if (before.handler_environment != after.handler_environment) {
    names.push_back(std::string(kHandlerEnvPrefix) + "*");
  }
  return names;
}

std::string resolve_conninfo(const Options& options) {
  std::string conninfo = options.database_url;
  if (!options.database_url_file.empty()) {
    Parsed<std::string> text = read_conninfo_file(options.database_url_file);
    if (!text) throw std::runtime_error(shown(options.database_url_file) + ": " + text.problem);
    conninfo = std::move(*text.value);
  }
  const std::string& password = captured_password();
  return password.empty() ? conninfo : with_password(conninfo, password);
}

}  // namespace pgforeman
