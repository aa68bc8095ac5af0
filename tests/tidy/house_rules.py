#!/usr/bin/env python3
"""The rules of the house, as tests. CONTRIBUTING.md says what they are for.

  house_rules.py RULE ROOT    prints each violation as "file:line: what", exits 1 when there are any
  house_rules.py --list       the rules' names
  house_rules.py --self-test  breaks every rule on purpose in a scratch tree: each must notice

A line may be exempted from a rule by a comment with a reason: "house: RULE: why".
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from importlib.machinery import SourceFileLoader

HERE = pathlib.Path(__file__).resolve().parent
LOG_LINES = SourceFileLoader("log_lines", str(HERE / "log_lines.py")).load_module()
MODULES = ["text", "system", "http", "options", "fleet", "queue", "handlers", "process", "consumer",
           "maintenance", "supervisor", "commands"]
# What a module may include beside itself: every lower one, but for these.
SIDE_BY_SIDE = {"consumer", "maintenance", "supervisor"}
NEVER = {"supervisor": {"queue", "handlers", "process"}}
# The only users of HTTP, and the only place that includes Beast.
HTTP_USERS = {"http", "supervisor", "commands"}

MAX_HEADER_LINES, MAX_SOURCE_LINES, MAX_FUNCTION_LINES, MAX_COLUMNS = 150, 400, 70, 100
MAX_TEST_LINES = 500  # a list of tests grows longer before a second concept moves in
# The only places that make processes: the fleet's own, and a handler's.
FORKERS = {"src/system/fork.cpp", "src/handlers/spawn.cpp"}


class Tree:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()

    def files(self, *patterns):
        found = []
        for pattern in patterns:
            found += [p for p in self.root.glob(pattern) if p.is_file()]
        return sorted(found)

    def name(self, path):
        return path.relative_to(self.root).as_posix()

    def lines(self, path):
        return path.read_text(encoding="utf-8").splitlines()

    def cpp(self, *folders):
        return self.files(*[f"{f}/**/*{end}" for f in folders for end in (".h", ".cpp", ".h.in")])


def exempt(rule, line):
    return re.search(rf"house: {rule}: \S", line) is not None


def code_lines(tree, path):
    """(number, line without // comments). Strings stay: some rules look into them."""
    for number, line in enumerate(tree.lines(path), 1):
        yield number, re.sub(r"(^|\s)//.*$", "", line), line


def grep(rule, tree, paths, pattern, what):
    for path in paths:
        for number, code, whole in code_lines(tree, path):
            if re.search(pattern, code) and not exempt(rule, whole):
                yield f"{tree.name(path)}:{number}: {what}: {code.strip()}"


def includes(tree):
    """A module includes only itself and lower ones."""
    for path in tree.cpp("src"):
        parts = tree.name(path).split("/")
        module = parts[1] if len(parts) > 2 else None  # src/main.cpp is above all
        for number, code, whole in code_lines(tree, path):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', code)
            if "<boost/beast" in code and module != "http":
                yield f"{tree.name(path)}:{number}: Beast outside src/http"
            if not match or module is None or exempt("includes", whole):
                continue
            target = match.group(1)
            other = target.split("/")[0]
            where = f"{tree.name(path)}:{number}"
            if other == "pgforeman" and "/" in target:
                continue
            if "/" not in target or other not in MODULES:
                yield f'{where}: include "module/file.h", not "{target}"'
            elif other == module:
                continue
            elif MODULES.index(other) > MODULES.index(module):
                yield f"{where}: {module} is below {other}"
            elif ({module, other} <= SIDE_BY_SIDE or other in NEVER.get(module, ()) or
                  other == "http" and module not in HTTP_USERS):
                yield f"{where}: {module} must not know {other}"
    for path in tree.cpp("include"):
        for number, code, _ in code_lines(tree, path):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', code)
            if match and not match.group(1).startswith("pgforeman/"):
                yield f"{tree.name(path)}:{number}: a public header includes {match.group(1)}"
    for module in sorted(p.name for p in (tree.root / "src").iterdir() if p.is_dir()):
        if module not in MODULES:
            yield f"src/{module}: a module without a floor: give it one in house_rules.py"


def sql(tree):
    """SQL, libpqxx and libpq's sessions live in src/queue."""
    paths = [p for p in tree.cpp("src", "include") if not tree.name(p).startswith("src/queue/")]
    words = (r'pqxx|\bPQ(connect|exec|send|prepare)\w*\(|'
             r'"\s*(?i:select\s.*\bfrom\b|select\s+pgforeman\.|insert\s+into|update\s+\w+\.?\w*\s+set'
             r'|delete\s+from|create\s+(table|schema|function)|listen\s+\w+|notify\s+\w+)\b')
    yield from grep("sql", tree, paths, words, "SQL outside src/queue")


def fork(tree):
    """Processes are made in two places."""
    paths = [p for p in tree.cpp("src", "include") if tree.name(p) not in FORKERS]
    pattern = (r"(?<![\w.>])(::|std::)?(v?fork|clone3?|posix_spawnp?|popen|system|daemon)\s*\(|"
               r"boost/process")
    yield from grep("fork", tree, paths, pattern, "a process is made here")


def environment(tree):
    """The environment is read by the options alone."""
    paths = [p for p in tree.cpp("src", "include") if not tree.name(p).startswith("src/options/")]
    yield from grep("environment", tree, paths, r"\b(secure_)?getenv\s*\(|\benviron\b(?!ment)",
                    "the environment is read outside src/options")


def sleep(tree):
    """Tests wait on conditions with a deadline."""
    paths = tree.files("tests/**/*.cpp", "tests/**/*.h", "tests/**/*.py")
    paths = [p for p in paths if tree.name(p) != "tests/tidy/house_rules.py"]
    yield from grep("sleep", tree, paths,
                    r"\bsleep_(for|until)\s*\(|\b(u|nano|clock_nano)?sleep\s*\(|\bpg_sleep\(0",
                    "a test that sleeps and hopes: wait on a condition")


def headers(tree):
    """Headers have a guard and no `using namespace`."""
    for path in tree.files("src/**/*.h", "include/**/*.h", "include/**/*.h.in", "tests/**/*.h"):
        if "#pragma once" not in tree.lines(path)[:1]:
            yield f"{tree.name(path)}:1: starts without #pragma once"
    yield from grep("headers", tree, tree.files("src/**/*.h", "include/**/*.h", "tests/**/*.h"),
                    r"\busing\s+namespace\b(?! std::[a-z_]*literals;)", "`using namespace` in a header")
    yield from grep("headers", tree, tree.cpp("src", "include", "tests"),
                    r"#\s*include\s+(<boost/asio\.hpp>|\"[^\"]+\.cpp\")",
                    "include single asio headers, and never a .cpp")


def size(tree):
    """Past these sizes a second concept has moved in."""
    for path in tree.cpp("src", "include", "tests", "bench"):
        lines = tree.lines(path)
        in_tests = tree.name(path).startswith("tests/")
        most = (MAX_HEADER_LINES if path.suffix != ".cpp" else
                MAX_TEST_LINES if in_tests else MAX_SOURCE_LINES)
        if len(lines) > most:
            yield f"{tree.name(path)}:{most}: {len(lines)} lines, at most {most}"
        started, raw = None, False
        for number, line in enumerate(lines, 1):
            columns = len(line)
            in_raw = raw or 'R"' in line  # text that no line break may be put into
            raw = in_raw and ')"' not in line.split('R"')[-1]
            if columns > MAX_COLUMNS and not in_raw and not exempt("size", line):
                yield f"{tree.name(path)}:{number}: {columns} columns, at most {MAX_COLUMNS}"
            # As clang-format lays it out, a function's body ends with a } in the first column.
            if line and not line[0].isspace() and line.endswith("{"):
                opens = re.match(r"(inline\s+)?(namespace|struct|class|enum|union|extern)\b", line)
                data = "=" in line.split("(")[0]
                started = None if opens or data or "(" not in line and ")" not in line else number
            elif line == "}" and started is not None:
                if number - started + 1 > MAX_FUNCTION_LINES and not in_tests:
                    yield (f"{tree.name(path)}:{started}: a function of {number - started + 1} "
                           f"lines, at most {MAX_FUNCTION_LINES}")
                started = None


def text(tree):
    """Text files: no tabs, trailing blanks or conflict markers, a newline at the end. Scripts parse and run."""
    paths = tree.files("*.md", "*.txt", "*.yaml", "*.json", "*.env", "Dockerfile", "LICENSE", ".clang-*",
                       ".dockerignore", ".gitignore", ".ci/*", "tools/**/*", "docs/**/*", "examples/**/*",
                       "config/**/*", "src/**/*", "include/**/*", "tests/**/*", "bench/**/*")
    for path in paths:
        name = tree.name(path)
        # A fuzzer's corpus is bytes.
        if "__pycache__" in name or "/corpus/" in name or path.suffix in (".png", ".pyc"):
            continue
        content = path.read_text(encoding="utf-8")
        if content and not content.endswith("\n"):
            yield f"{name}: no newline at the end"
        for number, line in enumerate(content.splitlines(), 1):
            if "\t" in line and path.suffix not in (".go", ".mod"):  # gofmt wants them
                yield f"{name}:{number}: a tab"
            if line != line.rstrip():
                yield f"{name}:{number}: trailing blanks"
            if re.match(r"<{7}|>{7}|\|{7}|={7}$", line):
                yield f"{name}:{number}: a marker of a merge conflict"
        if content.startswith("#!"):
            if not path.stat().st_mode & 0o100:
                yield f"{name}: has an interpreter, but cannot be executed"
            first = content.splitlines()[0]
            shell = "bash" if first.endswith("bash") else "sh" if first.endswith("/sh") else None
            if shell:
                check = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
                if check.returncode != 0:
                    yield f"{name}: {check.stderr.strip()}"


def docs(tree):
    """Links lead somewhere; the tables of codes, lines and signals are complete."""
    for path in tree.files("*.md", "docs/**/*.md", "examples/**/*.md", "bench/**/*.md"):
        for number, line in enumerate(tree.lines(path), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if "://" not in target and not (path.parent / target).exists():
                    yield f"{tree.name(path)}:{number}: a link to nowhere: {target}"
    manual = tree.root / "docs/operating.md"
    operating = manual.read_text(encoding="utf-8") if manual.exists() else ""
    for path in tree.files("include/pgforeman/exit_code.h"):
        for number, code, _ in code_lines(tree, path):
            match = re.match(r"\s+(\w+) = (\d+),", code)
            if match and f"| {match.group(2)} |" not in operating:
                yield f"{tree.name(path)}:{number}: docs/operating.md lacks exit code {match.group(2)}"


def block(page, heading):
    """The lines of the code block under a heading."""
    match = re.search(rf"^## {heading}\n(?:(?!```|##).*\n)*```\n((?:.*\n)*?)```", page, re.M)
    return match[1].splitlines() if match else []


def interfaces(tree):
    """docs/interfaces.md lists what users' programs rely on, as the code has it; the manuals explain it."""
    texts = {p.name: p.read_text(encoding="utf-8") for p in tree.files("docs/*.md")}
    page, operating = texts.get("interfaces.md", ""), texts.get("operating.md", "")
    in_code, listed = list(LOG_LINES.lines(tree.root)), block(page, "Log lines")
    for line in in_code:
        if line not in listed:
            yield f"docs/interfaces.md lacks the log line {line}"
    for line in listed:
        if line not in in_code:
            yield f"docs/interfaces.md has a log line that no code writes so: {line}"
        text = re.match(r"[a-z, ]+: (.*?)( \([a-z_, ]+\))?$", line)
        if text and f"| {text[1]}" not in operating:
            yield f"docs/operating.md does not explain the log line: {text[1]}"
    # Tests of real processes compare these lists with the code.
    for heading, manual, name in (("Status", "endpoint.md", r"(\w+)$"), ("Metrics", "endpoint.md", r" (\w+)"),
                                  ("SQL", "queue.md", r"function (\w+)")):
        for line in block(page, heading):
            match = re.search(name, line)
            if match and not re.search(rf"`{match[1]}\b", texts.get(manual, "")):
                yield f"docs/{manual} does not explain {match[1]}"


def proofs(tree):
    """Each line that keeps a promise is marked, and tools/prove knows how to break it and what fails."""
    data, promises = tree.root / "tests/broken_lines.json", tree.root / "docs/promises.md"
    if not data.exists():
        return
    name = tree.name(data)
    listed = promises.read_text(encoding="utf-8").splitlines() if promises.exists() else []
    prove = SourceFileLoader("prove", str(HERE.parents[1] / "tools/prove")).load_module()
    tests = "".join(p.read_text(encoding="utf-8") for p in tree.cpp("tests"))
    tests = re.sub(r'"\s*\n\s*"', "", tests)
    places, seen = prove.markers(tree.root), set()
    sources = tree.files("src/**/*.cpp", "src/**/*.h", "src/**/*.sql", "include/**/*.h")
    words = set().union(*(re.findall(r"\w+", p.read_text(encoding="utf-8")) for p in sources))
    for entry in json.loads(data.read_text(encoding="utf-8")):
        marker = entry["marker"]
        found = places.get(marker, [])
        if marker in seen:
            yield f"{name}: {marker}: listed twice"
        seen.add(marker)
        if len(found) != 1:
            yield f"{name}: {marker}: one line should be marked so, not {len(found)}"
        elif prove.marked(entry, found[0]) == prove.broken(entry, found[0]):
            yield f"{name}: {marker}: breaks nothing: {entry['broken']}"
        elif not "".join(prove.marked(entry, found[0])).strip():
            yield f"{name}: {marker}: marks no code"
        # It would not compile, which proves nothing: a name that was changed since.
        for word in sorted(set(re.findall(r"[A-Za-z_]\w*", entry["broken"])) - words):
            yield f"{name}: {marker}: the sources have no '{word}'"
        if f'"{entry["test"]}"' not in tests:
            yield f"{name}: {marker}: no such test: {entry['test']}"
        if prove.row(entry, prove.places_of(entry, tree.root)) not in listed:
            yield f"docs/promises.md lacks a line of `tools/prove --list`: {entry['broken_so']}"
    for marker in sorted(places.keys() - seen):
        for path, index in places[marker]:
            yield f"{tree.name(path)}:{index + 1}: {name} does not list the marker {marker}"


RULES = {f.__name__: f
         for f in (includes, sql, fork, environment, sleep, headers, size, text, docs, interfaces, proofs)}

# For each rule, files that break it and how often.
BROKEN = {
    "includes": (9, {
        "src/system/a.cpp": '#include "queue/queue.h"\n',
        "src/supervisor/a.cpp": '#include "queue/queue.h"\n',
        "src/consumer/a.cpp": '#include "maintenance/maintenance.h"\n',
        "src/system/b.cpp": '#include "a.h"\n#include <boost/beast/http.hpp>\n',
        "src/queue/a.cpp": '#include "http/client.h"\n',
        "src/http/a.cpp": '#include "fleet/slot.h"\n#include <boost/beast/http.hpp>\n',
        "include/pgforeman/a.h": '#include "system/clock.h"\n',
        "src/attic/a.cpp": "",
    }),
    "sql": (3, {
        "src/consumer/a.cpp": '#include <pqxx/pqxx>\nauto s = "select id from t";\n',
        "src/commands/a.cpp": 'f("select pgforeman.send($1, $2)");\n',
        "src/queue/a.cpp": '#include <pqxx/pqxx>\n',
    }),
    "fork": (4, {
        "src/supervisor/a.cpp": "auto p = ::fork();\nint q = vfork ();\n// fork()\nx.fork();\n",
        "src/commands/a.cpp": 'system("true");\n#include <boost/process/v2.hpp>\n',
        "src/system/fork.cpp": "::fork();\n",
    }),
    "environment": (2, {
        "src/queue/a.cpp": 'std::getenv("HOME");\nextern char** environ;\nint environment;\n',
        "src/options/a.cpp": 'std::getenv("HOME");\n',
    }),
    "sleep": (3, {
        "tests/unit/a.cpp": "std::this_thread::sleep_for(1s);\n::usleep(5);\n"
                            "::usleep(5);  // house: sleep: what is tested is a slow caller\n",
        "tests/process/a.py": "time.sleep(1)\n",
    }),
    "headers": (3, {
        "src/system/a.h": "using namespace std;\n",
        "src/system/a.cpp": "#include <boost/asio.hpp>\nusing namespace std;\n",
    }),
    "size": (4, {
        "src/system/a.h": "#pragma once\n" * 151,
        "src/system/a.cpp": "//\n" * 401,
        "src/system/b.cpp": "void f() {\n" + "  x();\n" * 70 + "}\n",
        "src/system/c.cpp": "// " + "x" * 100 + "\n",
        "src/system/d.cpp": 'auto a = R"(\n' + "x" * 101 + '\n)";\n',
    }),
    "text": (10, {
        "docs/a.md": "no newline", "docs/b.md": "a\tb\n", "docs/c.md": "blank \n",
        "docs/d.md": "<<<<<<< HEAD\na\n||||||| 1a2b\n=======\nb\n>>>>>>> 3c4d\n",
        "docs/e.md": "=====\nA title\n========\n <<<<<<< indented\na === b\n",
        "tools/a": "#!/bin/sh\necho\n", "tools/b": "#!/usr/bin/env bash\nif\n",
    }),
    "docs": (2, {
        "README.md": "[x](docs/none.md) [y](docs/operating.md) [z](https://example.org/none)\n",
        "docs/operating.md": "| 0 |\n",
        "include/pgforeman/exit_code.h": "  ok = 0,\n  config = 78,\n",
    }),
    # Not listed (2), other fields (2), not written, without a constant text, not explained (4).
    "interfaces": (10, {
        "docs/operating.md": "| is listed |\n| has fields |\n| is gone |\n",
        "docs/interfaces.md": "## Log lines\nx\n```\nwarn: is listed\ninfo: has fields (a)\ninfo: is gone\n"
                              "info: is listed only\n```\n## Status\n```\na.b\n```\n"
                              "## SQL\n```\nfunction f(a int)\n```\n",
        "src/system/a.cpp": 'log::info("has fields", {{"a", 1}, {"b", f(2)}});\nlog::warn("is listed");\n'
                          'log::warn("is "\n  "new");\nlog::info("x", {{"from", "handler"}});\n'
                          'log::write(x ? log::Level::info : log::Level::warn, "is newer", {});\n'
                          "log::error(text);\n",
    }),
    # No marker, test or line of docs; the same text; a blank line; an unknown word; twice, no line of
    # docs; not listed.
    "proofs": (9, {
        "tests/broken_lines.json": json.dumps([
            {"marker": marker, "broken_so": "x", "broken": broken, "suite": "a_tests", "test": test}
            for marker, broken, test in (("P1", "", "gone"), ("P2 a", "b();", "is there"),
                                         ("P3", "c();", "is there"), ("P4", "", "is there"))]),
        "src/a.cpp": "a();\n  b();  // proves: P2 a, P5\n// proves: P3\n\nd();  // proves: P4\n",
        "src/a.sql": "d(); -- proves: P4\n",
        "tests/a/a.cpp": 'TEST_CASE("is "\n  "there") {}\n',
        "docs/promises.md": "| P2 a | x | `src/a.cpp` | is there (`a_tests`) |\n"
                            "| P3 | x | `src/a.cpp` | is there (`a_tests`) |\n",
    }),
}


def self_test():
    failed = False
    for rule, check in RULES.items():
        expected, files = BROKEN[rule]
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "src").mkdir()
            for name, content in files.items():
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
            found = list(check(Tree(folder)))
        if len(found) != expected:
            failed = True
            print(f"{rule}: {len(found)} of {expected} violations noticed:", *found, sep="\n  ")
    return 1 if failed else 0


def main(words):
    if words == ["--list"]:
        print(*RULES, sep="\n")
        return 0
    if words == ["--self-test"]:
        return self_test()
    if len(words) != 2 or words[0] not in RULES:
        print(__doc__, file=sys.stderr)
        return 64
    violations = list(RULES[words[0]](Tree(words[1])))
    for violation in violations:
        print(violation)
    if violations:
        print(f"\n{len(violations)} against the rule: {RULES[words[0]].__doc__}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
