#include "render.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>

#include "options/help.h"
#include "options/table.h"
#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using pgforeman::test::contains;
using pgforeman::test::load;
using pgforeman::test::messages;

namespace {

std::string committed(const std::string& name) {
  std::ifstream in(std::string(PGFOREMAN_SOURCE_DIR) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// The settings of a sample, without the # before them.
std::vector<std::string> settings_of(const std::string& text) {
  std::vector<std::string> settings;
  for (const std::string& line : lines_of(text)) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ';
    if (setting) settings.push_back(line.substr(1));
  }
  return settings;
}

}  // namespace

TEST_CASE("The committed files match the table of options (tools/generate refreshes them)",
          "[render]") {
  CHECK(committed("sample.env") == render_sample_env());
  CHECK(committed("config/pgforeman.conf") == render_config_file());
  const std::string document = committed("docs/configuration.md");
  const std::size_t settings = document.find("\n## Settings\n");
  REQUIRE(settings != std::string::npos);
  CHECK(document.substr(settings + 1) == render_settings());
}

TEST_CASE("Both samples are valid config files as they stand", "[render]") {
  const test::TempDir dir;
  for (const std::string& text : {render_sample_env(), render_config_file()}) {
    const std::string path = dir.write("sample", text);
    CHECK(messages(load(Command::run, {"--config", path.c_str()})).empty());
  }
}

TEST_CASE("Each setting of a sample is valid when its # is removed", "[render]") {
  const test::TempDir dir;
  const std::string url_file = dir.write("url", "host=h\n");
  const std::string script = dir.write("handler.py", "#!/bin/sh\n", 0755);
  for (const std::string& text : {render_sample_env(), render_config_file()}) {
    std::vector<std::string> settings = settings_of(text);
    CHECK(settings.size() >= option_table().size());
    for (std::string setting : settings) {
      INFO(setting);
      // These name files that only exist where they are meant for.
      if (contains(setting, "DATABASE_URL_FILE=")) setting = "DATABASE_URL_FILE=" + url_file;
      if (contains(setting, "HANDLER=")) setting = "HANDLER=" + script;
      const bool names_config = contains(setting, "PGFOREMAN_CONFIG=");
      const std::string path = dir.write("sample", setting + "\n");
      const auto result = load(Command::run, {"--config", path.c_str()});
      CHECK(messages(result).empty() != names_config);
    }
  }
}

TEST_CASE("Every option is in every rendering", "[render]") {
  const std::string help = options_help(Command::run);
  const std::string document = render_settings();
  for (const Option& option : option_table()) {
    INFO(option.name);
    CHECK(contains(render_sample_env(), "\n#" + variable_of(option) + "="));
    CHECK(contains(document, "| `" + variable_of(option) + "` |"));
    CHECK(contains(document, "**" + std::string(option.name) + "**: "));
    if (option.name != "CONFIG") {
      CHECK(contains(render_config_file(), "\n#" + std::string(option.name) + "="));
    }
    if (is_for(option, Command::run)) CHECK(contains(help, variable_of(option)));
    if (!option.secret) CHECK(contains(document, "`" + flag_of(option) + "`"));
  }
  CHECK_FALSE(contains(help, "--database-url "));
  CHECK_FALSE(contains(document, "`--database-url`"));
}

TEST_CASE("A command's help has its own options only, in lines of at most 100 characters",
          "[render]") {
  for (const Command command : {Command::run, Command::migrate, Command::send, Command::status,
                                Command::dead, Command::health}) {
    const std::string help = options_help(command);
    for (const std::string& line : lines_of(help)) {
      INFO(line);
      CHECK(line.size() <= 100);
      CHECK((line.empty() || line.back() != ' '));
    }
    for (const Option& option : option_table()) {
      if (!option.secret) {
        CHECK(contains(help, "  " + flag_of(option) + " ") == is_for(option, command));
      }
    }
  }
  const std::string help = options_help(Command::run);
  CHECK(contains(help,
                 "Variable: PGFOREMAN_CONCURRENCY. Allowed: 1 to 1024. Default: the CPUs "
                 "that this"));
  CHECK(contains(help, "Variable: PGFOREMAN_HANDLER_TIMEOUT. Allowed: 10ms to 168h. Default: 5m."));
}

TEST_CASE("The messages in the documentation are those that are printed", "[render]") {
  const std::string document = committed("docs/configuration.md");
  const auto result = load(Command::run, {"--handler-timeout=30"}, {"PGFOREMAN_CONCURRENCY=5000"});
  REQUIRE(result.errors.size() == 2);
  for (const std::string& line : result.errors) {
    INFO(line);
    CHECK(contains(document, line));
  }
}

TEST_CASE("Text is wrapped at blanks", "[render]") {
  CHECK(wrapped("a bb ccc", "", 4) == "a bb\nccc\n");
  CHECK(wrapped("a bb ccc", "  ", 6) == "  a bb\n  ccc\n");
  CHECK(wrapped("longer-than-that a", "", 4) == "longer-than-that\na\n");
  CHECK(wrapped("", "# ", 10).empty());
}
