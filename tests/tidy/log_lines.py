#!/usr/bin/env python3
"""Lists the log lines of level info and above: their constant texts, levels and fields.

Usage: tests/tidy/log_lines.py [ROOT]

Reads the calls in src, in the form that src/system/log.h has. docs/interfaces.md has the same list; the house
rule "interfaces" compares the two. Only what handlers print (from=handler) has no constant text.
"""
import pathlib
import re
import sys

LEVELS = ["debug", "info", "warn", "error"]
CALL = re.compile(r"\blog::(debug|info|warn|error|write)\(|\bemit\(s, (?=Level::)")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Texts that a call gets from elsewhere: the argument, the file, and where the text stands there.
ELSEWHERE = {"action.why": ("src/supervisor/policy.cpp", r"Kind::give_up,[^\"]*\"([^\"]+)\"")}


def arguments(text, start):
    """The arguments of the call whose opening parenthesis ends before `start`."""
    found, depth, begin, at = [], 0, start, start
    while at < len(text):
        if string := STRING.match(text, at):
            at = string.end()
            continue
        char = text[at]
        if char in "([{":
            depth += 1
        elif char in ")]}" and depth:
            depth -= 1
        elif char == ")" or char == "," and not depth:
            found.append(text[begin:at].strip())
            begin = at + 1
            if char == ")":
                return found
        at += 1
    return found


def calls(root):
    """(path, levels, texts, fields) of each call."""
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".cpp", ".h") or path.name == "log.h":
            continue
        code = re.sub(r"(^|\s)//.*$", "", path.read_text(encoding="utf-8"), flags=re.M)
        code = re.sub(r'"\s*\n\s*"', "", code)
        for match in CALL.finditer(code):
            words = arguments(code, match.end())
            levels = [match[1]]
            if match[1] in (None, "write"):
                levels = re.findall(r"Level::(\w+)", words.pop(0))
            texts, fields = STRING.findall(words[0]), re.findall(r'\{\s*"(\w+)",', " ".join(words[1:]))
            if words[0] in ELSEWHERE:
                other, pattern = ELSEWHERE[words[0]]
                texts = re.findall(pattern, (root / other).read_text(encoding="utf-8"))
            if re.search(r'\{"from", "handler"\}', " ".join(words[1:])):
                continue
            yield path, levels, texts, fields


def lines(root):
    """The list, sorted: "levels: text (fields)"."""
    found = {}
    for path, levels, texts, fields in calls(root):
        if not texts or not levels:
            yield f"{path.relative_to(root).as_posix()}: a log line without a constant text or level"
        for text in texts:
            known = found.setdefault(text.strip(), (set(), []))
            known[0].update(levels)
            known[1].extend(f for f in fields if f not in known[1])
    for text, (levels, fields) in sorted(found.items()):
        if levels == {"debug"}:
            continue
        shown = ", ".join(x for x in LEVELS if x in levels)
        yield f"{shown}: {text}" + (f" ({', '.join(sorted(fields))})" if fields else "")


if __name__ == "__main__":
    print("\n".join(lines(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))))
