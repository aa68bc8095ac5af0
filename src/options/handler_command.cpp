#include "options/handler_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <optional>
#include <system_error>

#include "options/value.h"
#include "system/interpreter.h"
#include "text/words.h"

namespace pgforeman {
namespace {

/// Returns why this process cannot execute `path`; nothing if it can. `missing`: no such file.
std::optional<std::string> access_problem(const std::string& path, bool* missing) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    *missing = errno == ENOENT || errno == ENOTDIR;
    return *missing ? "does not exist" : std::generic_category().message(errno);
  }
  *missing = false;
  if (S_ISDIR(info.st_mode)) return "is a directory";
  if (!S_ISREG(info.st_mode)) return "is not a regular file";
  if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) {
    return "is not executable by this user (chmod +x helps)";
  }
  return std::nullopt;
}

/// Returns why exec would refuse the content of the file; nothing if it would not. An unreadable
/// file is not checked, as an executable file need not be readable.
std::optional<std::string> content_problem(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::array<char, 256> head{};
  in.read(head.data(), head.size());
  const std::string_view text(head.data(), static_cast<std::size_t>(in.gcount()));
  if (!in && !in.eof()) return std::nullopt;
  if (text.empty()) return "is empty";
  if (text.substr(0, 2) != "#!") {
    // A binary has a NUL byte among its first bytes. A text without #! is a script that only a
    // shell would start.
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    return "is a script without a first line such as #!/bin/sh, so the system cannot start it";
  }
  const std::string_view line = text.substr(2, text.find('\n') - 2);
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "has no interpreter after its #!";
  const std::string_view rest = line.substr(first);
  const std::string interpreter(rest.substr(0, rest.find_first_of(" \t")));
  if (!interpreter.empty() && interpreter.back() == '\r') {
    return "has Windows line ends, so the system cannot find its interpreter";
  }
  bool missing = false;
  const auto problem = access_problem(interpreter, &missing);
  if (!problem) return std::nullopt;
  return fmt::format("names the interpreter '{}', which {}", shown(interpreter), *problem);
}

/// Searches as the shell does: takes the first executable file of that name. Skips a file that is
/// not executable, but names the first of these if the search fails.
Parsed<std::string> find_program(const std::string& program, std::string_view search_path) {
  using Result = Parsed<std::string>;
  if (program.find('/') != std::string::npos) {
    bool missing = false;
    const auto problem = access_problem(program, &missing);
    return problem ? Result::wrong(fmt::format("'{}' {}", shown(program), *problem))
                   : Result::ok(program);
  }
  std::string skipped;
  while (true) {
    const std::size_t colon = search_path.find(':');
    const std::string_view directory = search_path.substr(0, colon);
    const std::string path =
        directory.empty() ? "./" + program : std::string(directory) + "/" + program;
    bool missing = false;
    const auto problem = access_problem(path, &missing);
    if (!problem) return Result::ok(path);
    if (!missing && skipped.empty()) skipped = fmt::format("'{}' {}", shown(path), *problem);
    if (colon == std::string_view::npos) break;
    search_path.remove_prefix(colon + 1);
  }
  if (!skipped.empty()) return Result::wrong(skipped);
  const std::string_view hint =
      program.find('=') != std::string::npos
          ? "; variables for it are set by PGFOREMAN_HANDLER_ENV_<NAME>=value"
      : program.find(' ') != std::string::npos
          ? "; quotes make one word of it: without them it is a program and its arguments"
          : "";
  return Result::wrong(fmt::format("there is no program '{}' in PATH{}", shown(program), hint));
}

/// True for a shell that parses its own argument: sh -c '...', bash -ec "...".
bool starts_shell(const std::vector<std::string>& words) {
  constexpr std::array<std::string_view, 6> kShells = {"sh", "bash", "dash", "ash", "zsh", "ksh"};
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string_view word = words[i];
    const std::string_view name = word.substr(word.rfind('/') + 1);  // npos + 1 is 0
    if (std::find(kShells.begin(), kShells.end(), name) != kShells.end() &&
        words[i + 1].size() > 1 && words[i + 1].front() == '-' && words[i + 1].back() == 'c') {
      return true;
    }
  }
  return false;
}

/// Returns the "$HOME", "${HOME}", "$(" or "`" at the start of `text`; else empty.
std::string variable_at(std::string_view text) {
  if (text.substr(0, 1) == "`") return "`";
  if (text.size() < 2 || text.front() != '$') return {};
  if (text[1] == '(') return "$(";
  const bool braced = text[1] == '{';
  const std::size_t from = braced ? 2 : 1;
  const std::size_t end = std::min(text.size(), text.find_first_not_of(kWordCharacters, from));
  if (end == from || (text[from] >= '0' && text[from] <= '9')) return {};
  return std::string(text.substr(0, braced && end < text.size() ? end + 1 : end));
}

bool is_for_shell(std::string_view word) {
  constexpr std::array<std::string_view, 11> kOperators = {"|", "||", "&",  "&&",   ";", "<",
                                                           ">", ">>", "2>", "2>&1", "#"};
  return std::find(kOperators.begin(), kOperators.end(), word) != kOperators.end() ||
         word.substr(0, 1) == "#" || word.substr(0, 2) == "~/";
}

/// Returns the program that `env python3 x.py` would not find; empty if found, or env has options.
std::string missing_for_env(const std::vector<std::string>& argv, std::string_view search_path) {
  const std::string& path = argv.front();
  if (path.substr(path.rfind('/') + 1) != "env") return {};
  const auto program = std::find_if(argv.begin() + 1, argv.end(), [](const std::string& word) {
    return word.find('=') == std::string::npos;
  });
  // If env gets its own PATH, it searches other directories.
  const bool own_path = std::any_of(argv.begin() + 1, program, [](const std::string& word) {
    return word.compare(0, 5, "PATH=") == 0;
  });
  if (program == argv.end() || program->empty() || program->front() == '-' || own_path) return {};
  return find_program(*program, search_path) ? std::string() : *program;
}

}  // namespace

Parsed<std::vector<std::string>> resolve_handler(std::string_view command,
                                                 std::string_view search_path) {
  using Result = Parsed<std::vector<std::string>>;
  Parsed<std::vector<std::string>> words = split_words(command);
  if (!words) return words;
  std::vector<std::string>& argv = *words.value;
  if (argv.empty() || argv.front().empty()) return Result::wrong("names no program");
  const Parsed<std::string> path = find_program(argv.front(), search_path);
  if (!path) return Result::wrong(path.problem);
  if (const auto problem = content_problem(*path.value)) {
    return Result::wrong(fmt::format("'{}' {}", shown(*path.value), *problem));
  }
  argv.front() = *path.value;
  if (runs_its_input(argv)) {
    return Result::wrong(
        fmt::format("'{}' has no script: it would run each message as a program; "
                    "allowed is '{} SCRIPT'",
                    shown(argv.front()), shown(argv.front())));
  }
  if (const std::string script = missing_script(argv); !script.empty()) {
    return Result::wrong(fmt::format("'{}' is to run '{}', which does not exist",
                                     shown(argv.front()), shown(script)));
  }
  if (const std::string program = missing_for_env(argv, search_path); !program.empty()) {
    return Result::wrong(fmt::format("there is no program '{}' in PATH", shown(program)));
  }
  return words;
}

std::string shell_syntax_in(std::string_view command) {
  const auto words = split_words(command);
  if (!words || starts_shell(*words.value)) return {};
  std::string word;  // with its quotes
  char quote = '\0';
  for (std::size_t i = 0; i <= command.size(); ++i) {
    const char c = i < command.size() ? command[i] : ' ';
    if (quote == '\0' && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
      if (is_for_shell(word)) return word;
      word.clear();
      continue;
    }
    if (quote != '\'') {
      if (std::string name = variable_at(command.substr(i)); !name.empty()) return name;
    }
    word += c;
    if (c == '\\' && quote != '\'' && i + 1 < command.size()) {
      word += command[++i];
    } else if (c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == '\'' || c == '"')) {
      quote = c;
    }
  }
  return {};
}

}  // namespace pgforeman
