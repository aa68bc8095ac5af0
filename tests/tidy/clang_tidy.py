#!/usr/bin/env python3
"""Runs clang-tidy on every source of the product. Usage: clang_tidy.py ROOT BUILD_FOLDER [--analyze]

Without the static analyzer, which takes more than twice as long as all the rest: --analyze adds it.
A file that was clean is looked at again only when it, a header of ours that it includes, its
compile command or the checks have changed: what was clean is remembered in BUILD_FOLDER/tidy.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

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


def fingerprint(root, entry, fixed):
    digest = hashlib.sha256(fixed)
    digest.update(entry["command"].encode())
    for path in sorted(closure(root, pathlib.Path(entry["file"]), set())):
        digest.update(path.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def main(root, build, analyze=None):
    root, build = pathlib.Path(root).resolve(), pathlib.Path(build).resolve()
    tidy = shutil.which("clang-tidy")
    version = subprocess.run([tidy, "--version"], capture_output=True, text=True).stdout if tidy else ""
    if f"version {VERSION}" not in version:
        print(f"skipped: no clang-tidy {VERSION}x here")
        return SKIPPED
    checks = [] if analyze else ["--checks=-clang-analyzer-*"]
    fixed = repr((version, checks)).encode() + (root / ".clang-tidy").read_bytes()
    clean = build / "tidy"
    clean.mkdir(exist_ok=True)
    entries = json.loads((build / "compile_commands.json").read_text(encoding="utf-8"))
    src = root / "src"
    entries = [e for e in entries if src in pathlib.Path(e["file"]).parents]
    work = [(e["file"], clean / fingerprint(root, e, fixed)) for e in entries]
    todo = [(file, stamp) for file, stamp in work if not stamp.exists()]
    print(f"{len(work)} files, {len(todo)} to look at")

    def check(item):
        file, stamp = item
        run = subprocess.run([tidy, "--quiet", *checks, "-p", str(build), file],
                             capture_output=True, text=True)
        if run.returncode == 0:
            stamp.touch()
        return file, run

    failed = 0
    jobs = len(os.sched_getaffinity(0))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for file, run in pool.map(check, todo):
            if run.returncode != 0:
                failed += 1
                print(f"\n{file}:\n{run.stdout}{run.stderr if not run.stdout else ''}")
    for stale in {s for s in clean.iterdir() if not analyze} - {stamp for _, stamp in work}:
        stale.unlink()
    print(f"{failed} files with findings")
    return 1 if failed or not work else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--analyze"]):
        print(__doc__, file=sys.stderr)
        sys.exit(64)
    sys.exit(main(*sys.argv[1:]))
