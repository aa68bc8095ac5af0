#include "system/interpreter.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace pgforeman {
namespace {

/// An interpreter's name, which a version may follow, and its one-letter options without a value.
struct Interpreter {
  std::string_view name;
  std::string_view flags;
};
constexpr std::array<Interpreter, 12> kInterpreters = {{{"python", "bBdEiIOPqsSuvx"},
                                                        {"pypy", "bBdEiIOqsSuvx"},
                                                        {"node", ""},
                                                        {"ruby", "dvw"},
                                                        {"perl", "tTwWX"},
                                                        {"php", "nq"},
                                                        {"lua", "Ev"},
                                                        {"sh", "abefhkmnpuvxl"},
                                                        {"bash", "abefhkmnpuvxlBCEHPT"},
                                                        {"dash", "abefhkmnpuvxl"},
                                                        {"zsh", "efnuvxl"},
                                                        {"ksh", "abefhkmnpuvxl"}}};
constexpr std::array<std::string_view, 4> kNodeSuffixes = {"", ".js", ".cjs", ".mjs"};
constexpr std::array<std::string_view, 12> kScriptSuffixes = {
    ".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".sh", ".lua", ".jar", ".pyz"};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string_view base_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

const Interpreter* find_interpreter(std::string_view program) {
  const std::string_view name = base_name(program);
  const auto* found =
      std::find_if(kInterpreters.begin(), kInterpreters.end(), [&](const Interpreter& one) {
        if (!name.starts_with(one.name)) return false;
        const auto rest = name.substr(one.name.size());
        return rest.find_first_not_of("0123456789.") == std::string_view::npos ||
               (one.name == "node" && rest == "js");
      });
  return found == kInterpreters.end() ? nullptr : found;
}

/// Returns the index of the first word that is not an option without a value; argv.size() if none.
std::size_t after_flags(const Interpreter& interpreter, std::span<const std::string> argv) {
  const auto is_flag = [&](std::string_view word) {
    return word.size() > 1 && word.front() == '-' &&
           word.find_first_not_of(interpreter.flags, 1) == std::string_view::npos;
  };
  return static_cast<std::size_t>(std::find_if_not(argv.begin() + 1, argv.end(), is_flag) -
                                  argv.begin());
}

}  // namespace

std::string missing_script(std::span<const std::string> argv) {
  const Interpreter* interpreter = argv.empty() ? nullptr : find_interpreter(argv.front());
  if (interpreter == nullptr) return {};
  const std::size_t i = after_flags(*interpreter, argv);
  if (i == argv.size() || argv[i].empty() || argv[i].front() == '-') return {};
  const std::string& script = argv[i];
  if (interpreter->name == "node") {
    const bool found = std::any_of(kNodeSuffixes.begin(), kNodeSuffixes.end(), [&](auto suffix) {
      return exists(script + std::string(suffix));
    });
    // A word without '/' or '.', such as `inspect`, is a command of node.
    const bool is_path = script.find_first_of("/.") != std::string::npos;
    return found || !is_path ? std::string() : script;
  }
  // A shell also searches PATH for a script without '/'.
  const bool shell = interpreter->name.ends_with("sh");
  if (shell && script.find('/') == std::string::npos) return {};
  return exists(script) ? std::string() : script;
}

bool runs_its_input(std::span<const std::string> argv) {
  const Interpreter* interpreter = argv.empty() ? nullptr : find_interpreter(argv.front());
  if (interpreter == nullptr) return false;
  const std::size_t i = after_flags(*interpreter, argv);
  return i == argv.size() || argv[i] == "-";
}

std::string missing_argument(std::span<const std::string> argv) {
  if (std::string script = missing_script(argv); !script.empty()) return script;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    const std::string& word = argv[i];
    if (word == "-c" || word == "-e" || word == "-m") return {};
    if (word.empty() || word.front() == '-') continue;
    const bool script =
        std::any_of(kScriptSuffixes.begin(), kScriptSuffixes.end(),
                    [&](std::string_view suffix) { return word.ends_with(suffix); });
    if (!script) continue;  // any other file may be one that the program creates
    return exists(word) ? std::string() : word;
  }
  return {};
}

}  // namespace pgforeman
