// Scripts that are not there, seen before anything runs.
#include "system/interpreter.h"

#include <string>
#include <vector>

#include "options_support.h"
#include "support/catch.h"

using namespace pgforeman;
using CommandLineWords = std::vector<std::string>;

TEST_CASE("An interpreter's missing script is named", "[interpreter]") {
  for (const CommandLineWords& argv : {CommandLineWords{"/usr/bin/python3", "/no/handler.py"},
                                       {"python3.11", "-u", "/no/handler.py"},
                                       {"python", "handler-that-is-nowhere.py"},
                                       {"node", "/no/handler.py"},
                                       {"/bin/bash", "-eu", "/no/handler.py"},
                                       {"sh", "/no/handler.py", "x"},
                                       {"ruby", "/no/handler.py"},
                                       {"perl", "-w", "/no/handler.py"}}) {
    INFO(argv.front());
    CHECK_FALSE(missing_script(argv).empty());
  }
}

TEST_CASE("An argument that may be no script is not called missing", "[interpreter]") {
  const test::TempDir dir;
  const std::string script = dir.write("handler.js", "", 0644);
  const std::string without_suffix = script.substr(0, script.size() - 3);
  for (const CommandLineWords& argv : {CommandLineWords{"python3"},
                                       {"python3", script},
                                       {"python3", "-m", "app.handler"},
                                       {"python3", "-c", "print(1)"},
                                       {"python3", "-W", "ignore", "/no/x.py"},
                                       {"python3", "-"},
                                       {"python3", "--check-hash-based-pycs", "always", "x.py"},
                                       {"node", script},
                                       {"node", without_suffix},
                                       {"node", "-e", "1"},
                                       {"node", "inspect", "x.js"},
                                       {"node", "--require", "./a.js", "/no/b.js"},
                                       {"sh", "-c", "/no/x"},
                                       {"bash", "-lc", "x"},
                                       {"bash", "named-in-path"},
                                       {"sh"},
                                       {"/app/program", "/no/such/file"},
                                       {"shutdown", "/no"},
                                       {"php-fpm", "/no"},
                                       CommandLineWords{}}) {
    INFO((argv.empty() ? std::string("nothing") : argv.front()));
    CHECK(missing_script(argv).empty());
  }
}

TEST_CASE("After a failed start a missing file of any program is named", "[interpreter]") {
  CHECK(missing_argument(CommandLineWords{"/app/runner", "--fast", "/no/job.py"}) == "/no/job.py");
  CHECK(missing_argument(CommandLineWords{"tsx", "job-that-is-nowhere.ts"}) ==
        "job-that-is-nowhere.ts");
  CHECK(missing_argument(CommandLineWords{"/app/runner", "-c", "/no/job.yaml"}).empty());
  CHECK(missing_argument(CommandLineWords{"/app/runner", "work"}).empty());
  CHECK(missing_argument(CommandLineWords{"/app/runner", "/tmp"}).empty());
}

TEST_CASE("An interpreter without a script would run each message as a program", "[interpreter]") {
  for (const CommandLineWords& argv : {CommandLineWords{"python3"},
                                       {"/usr/bin/python3.11", "-u"},
                                       {"python3", "-"},
                                       {"node"},
                                       {"sh", "-eu"},
                                       {"perl", "-w"}}) {
    INFO(argv.front());
    CHECK(runs_its_input(argv));
  }
  for (const CommandLineWords& argv : {CommandLineWords{"python3", "x.py"},
                                       {"python3", "-m", "app.handler"},
                                       {"sh", "-c", "cat"},
                                       {"sh", "run"},  // whose letters are options of sh
                                       {"python3", "xv"},
                                       {"node", "-e", "1"},
                                       {"cat"},
                                       {"/app/handler", "-"}}) {
    INFO(argv.front());
    CHECK_FALSE(runs_its_input(argv));
  }
}
