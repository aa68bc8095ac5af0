#!/usr/bin/env python3
"""Runs clang-tidy on every source of the product. Usage: clang_tidy.py ROOT BUILD_FOLDER [--analyze]

Without the static analyzer, which takes more than twice as long as all the rest: --analyze adds it.
The sources of several targets are looked at as one, if no names of theirs clash: most of the time
goes into the libraries' headers.
A target that was clean is looked at again only when a source, a header of ours that one includes,
the compile command or the checks have changed: what was clean is remembered in BUILD_FOLDER/tidy.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

# Checks and warnings differ between versions: one of them decides.
VERSION = "14."
SKIPPED = 77


def closure(root, path, seen):
    """The file and what it includes of this tree, transitively."""
    if path in seen or not path.is_file():
        return seen
    seen.add(path)
    for target in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(encoding="utf-8"), re.M):
        for folder in ("src", "include"):
            closure(root, root / folder / target, seen)
    return seen


def targets(root, build):
    """The sources of the product by target: [(name, flags, files)]."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text(encoding="utf-8")):
        file = pathlib.Path(entry["file"])
        files = [file]
        if file.name.startswith("unity_"):  # a build in batches
            text = file.read_text(encoding="utf-8")
            files = [pathlib.Path(f) for f in re.findall(r'^#include "(.+)"', text, re.M)]
        files = [f for f in files if root / "src" in f.parents]
        if not files:
            continue
        command, output = entry["command"].split(" -o ")
        name = re.search(r"CMakeFiles/([^/]+)\.dir/", output).group(1)
        flags = shlex.split(command[command.index(" -"):])
        found.setdefault(name, (flags, []))[1].extend(files)
    return [(name, *of) for name, of in sorted(found.items())]


def fingerprint(root, flags, files, fixed):
    digest = hashlib.sha256(fixed + repr(flags).encode())
    seen = set()
    for file in files:
        closure(root, file, seen)
    for path in sorted(seen):
        digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def local_names(files):
    """Names that the files may declare for themselves alone: two files that do cannot be one."""
    declared = r"^(?:constexpr|const|static|using|struct|class|enum)\b[^=;({]*?(\w+)\s*(?:[={;]|$)"
    function = r"^(?!using|namespace)\w[\w:<>,*& ]*[ *&](\w+)\("
    text = "\n".join(f.read_text(encoding="utf-8") for f in files)
    return set(re.findall(declared, text, re.M)) | set(re.findall(function, text, re.M))


def grouped(work, jobs):
    """`work` in as few groups as there are jobs, or in more where names clash."""
    groups = []  # [items, names, files]
    for item in sorted(work, key=lambda w: -len(w[2])):
        names = local_names(item[2])
        fitting = [g for g in groups if not g[1] & names]
        if len(groups) < jobs or not fitting:
            groups.append([[item], names, len(item[2])])
            continue
        group = min(fitting, key=lambda g: g[2])
        group[0].append(item)
        group[1] |= names
        group[2] += len(item[2])
    return [g[0] for g in groups]


def main(root, build, analyze=None):
    root, build = pathlib.Path(root).resolve(), pathlib.Path(build).resolve()
    tidy = shutil.which("clang-tidy")
    version = subprocess.run([tidy, "--version"], capture_output=True, text=True).stdout if tidy else ""
    if f"version {VERSION}" not in version:
        print(f"skipped: no clang-tidy {VERSION}x here")
        return SKIPPED
    # Sources that include sources are this script's own doing.
    checks = "--checks=-bugprone-suspicious-include" + ("" if analyze else ",-clang-analyzer-*")
    fixed = repr((version, checks)).encode() + (root / ".clang-tidy").read_bytes()
    clean = build / "tidy"
    clean.mkdir(exist_ok=True)
    work = [(name, flags, files, clean / fingerprint(root, flags, files, fixed))
            for name, flags, files in targets(root, build)]
    todo = [w for w in work if not w[-1].exists()]
    print(f"{len(work)} targets, {len(todo)} to look at")

    def check(items):
        """The targets with findings: [(name, what clang-tidy says)]."""
        flags = [flag for item in items for flag in item[1]]
        with tempfile.NamedTemporaryFile("w", suffix=".cpp") as source:
            source.writelines(f'#include "{file}"\n' for item in items for file in item[2])
            source.flush()
            run = subprocess.run([tidy, "--quiet", f"--config-file={root}/.clang-tidy", checks,
                                  source.name, "--", *flags], capture_output=True, text=True)
        if run.returncode != 0 and len(items) > 1:
            return [found for item in items for found in check([item])]
        if run.returncode != 0:
            return [(items[0][0], run.stdout or run.stderr)]
        for item in items:
            item[-1].touch()
        return []

    failed = 0
    jobs = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for found in pool.map(check, grouped(todo, jobs)):
            for name, text in found:
                failed += 1
                print(f"\n{name}:\n{text}")
    for stale in {s for s in clean.iterdir() if not analyze} - {w[-1] for w in work}:
        stale.unlink()
    print(f"{failed} targets with findings")
    return 1 if failed or not work else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--analyze"]):
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    sys.exit(main(*sys.argv[1:]))
