#include "options/handler_command.h"

#include <unistd.h>

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using Texts = std::vector<std::string>;

TEST_CASE("The handler's program is looked up in PATH, its arguments stay", "[handler_command]") {
  const test::TempDir dir;
  const std::string first = dir.write("one/tool", "#!/bin/sh\n", 0755);
  dir.write("two/tool", "#!/bin/sh\n", 0755);
  const std::string plain = dir.write("plain/tool", "#!/bin/sh\n", 0644);
  const std::string path =
      dir.path() + "/none:" + dir.path() + "/plain:" + dir.path() + "/one:" + dir.path() + "/two";
  const auto argv = resolve_handler("tool 'a b' $c", path);
  REQUIRE(argv);
  CHECK(*argv.value == Texts{first, "a b", "$c"});
  CHECK(resolve_handler("tool", dir.path() + "/plain").problem ==
        "'" + plain + "' is not executable by this user (chmod +x helps)");
  CHECK(resolve_handler("nothing-of-that-name x", path).problem ==
        "there is no program 'nothing-of-that-name' in PATH");
}

TEST_CASE("A path is taken as it is", "[handler_command]") {
  const test::TempDir dir;
  const std::string tool = dir.write("a tool", "#!/bin/sh\n", 0755);
  const auto argv = resolve_handler("'" + tool + "' x", "");
  REQUIRE(argv);
  CHECK(*argv.value == Texts{tool, "x"});
  CHECK(resolve_handler("/bin/cat", "").value->front() == "/bin/cat");
}

TEST_CASE("A program that exec would refuse is refused at the start, by name",
          "[handler_command]") {
  const test::TempDir dir;
  const auto problem_of = [&](const std::string& name, const std::string& text, mode_t mode) {
    const std::string path = dir.write(name, text, mode);
    const std::string problem = resolve_handler(path, "").problem;
    INFO(problem);
    CHECK(problem.find("'" + path + "' ") == 0);
    return problem.substr(std::min(problem.size(), path.size() + 3));
  };
  CHECK(problem_of("plain", "#!/bin/sh\n", 0644) ==
        "is not executable by this user (chmod +x helps)");
  CHECK(problem_of("empty", "", 0755) == "is empty");
  CHECK(problem_of("bare", "echo hello\n", 0755) ==
        "is a script without a first line such as #!/bin/sh, so the system cannot start it");
  CHECK(problem_of("lost", "#! /no/such/thing -x\n", 0755) ==
        "names the interpreter '/no/such/thing', which does not exist");
  CHECK(problem_of("crlf", "#!/bin/sh\r\necho\r\n", 0755) ==
        "has Windows line ends, so the system cannot find its interpreter");
  CHECK(problem_of("hollow", "#!\n", 0755) == "has no interpreter after its #!");

  CHECK(resolve_handler(dir.path() + "/none x", "").problem ==
        "'" + dir.path() + "/none' does not exist");
  CHECK(resolve_handler(dir.path(), "").problem == "'" + dir.path() + "' is a directory");
  CHECK(resolve_handler(dir.path() + "/plain/x", "").problem ==
        "'" + dir.path() + "/plain/x' does not exist");
  CHECK(resolve_handler("/dev/null", "").problem == "'/dev/null' is not a regular file");
}

TEST_CASE("A script with blanks and arguments in its first line is accepted", "[handler_command]") {
  const test::TempDir dir;
  CHECK(resolve_handler(dir.write("a", "#! \t/usr/bin/env python3\n", 0755), ""));
  CHECK(resolve_handler(dir.write("b", "#!/bin/sh", 0755), ""));
}

TEST_CASE("A command line without a program is refused", "[handler_command]") {
  CHECK(resolve_handler("", "/bin").problem == "names no program");
  CHECK(resolve_handler("  ", "/bin").problem == "names no program");
  CHECK(resolve_handler("'' x", "/bin").problem == "names no program");
  CHECK(resolve_handler("'cat", "/bin").problem == "has a single quote that is never closed");
}

TEST_CASE("Shell syntax is warned of, unless it is quoted or given to a shell",
          "[handler_command]") {
  struct Case {
    const char* command;
    const char* noticed;
  };
  const auto c = GENERATE(values<Case>({
      {"cat > /tmp/x", ">"},
      {"a && b", "&&"},
      {"cat # note", "#"},
      {"cat #note", "#note"},
      {"$HOME/bin/x", "$HOME"},
      {"python3 \"${APP_DIR}/x.py\"", "${APP_DIR}"},
      {"cat $(date)", "$("},
      {"cat `date`", "`"},
      {"~/bin/x", "~/bin/x"},
      {"cat '|' '#'", ""},
      {"cat a#b", ""},
      {"awk '{print $1}'", ""},
      {"grep a$ x", ""},
      {"cat \\$HOME", ""},
      {"sh -c 'a | b # c'", ""},
      {"/bin/bash -ec \"echo $HOME\"", ""},
      {"env A=1 sh -c \"echo $A\"", ""},
  }));
  INFO(c.command);
  CHECK(shell_syntax_in(c.command) == c.noticed);
}

TEST_CASE("A variable or quotes around a whole command are named", "[handler_command]") {
  CHECK(test::contains(resolve_handler("A=1 cat", "/bin").problem, "PGFOREMAN_HANDLER_ENV_"));
  CHECK(test::contains(resolve_handler("'cat x'", "/bin").problem, "quotes make one word"));
}

TEST_CASE("A script that an interpreter cannot find is refused at the start", "[handler_command]") {
  CHECK(resolve_handler("/bin/sh /no/handler.sh", "").problem ==
        "'/bin/sh' is to run '/no/handler.sh', which does not exist");
  CHECK(resolve_handler("/bin/sh -c /no/handler.sh", ""));
  CHECK(resolve_handler("/usr/bin/env A=1 pyhton3 x.py", "/usr/bin:/bin").problem ==
        "there is no program 'pyhton3' in PATH");
  CHECK(resolve_handler("/usr/bin/env A=1 sh -c x", "/usr/bin:/bin"));
  CHECK(resolve_handler("/usr/bin/env -i pyhton3", "/usr/bin:/bin"));
  CHECK(resolve_handler("/usr/bin/env PATH=/app pyhton3", "/usr/bin:/bin"));
}
