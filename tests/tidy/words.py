#!/usr/bin/env python3
"""Counts what makes sources, test names and docs hard to read: words for people, and long sentences.

Usage: tests/tidy/words.py [--list] [ROOT]

Words for people (who, whoever, somebody, nobody ...) name no part of the program: a process is "it". Neither
do phrases of a private language such as "in vain" (a failed run); nor, in code, words of a talk between
processes (told, heard: settled, notified). The goal is at most 1 in 1,000 lines of src and include, of
comments of tests, and of the docs, and none in the names of tests, which also have no "whose". A sentence of
a header's comment has at most 30 words. --list prints each place. A tool for reviews: it ends with 0.
"""
import pathlib
import re
import sys

PEOPLE = re.compile(r"\b(who|whoever|whom|somebody|someone|nobody|anybody|everybody|everyone)\b",
                    re.IGNORECASE)
PRIVATE = re.compile(PEOPLE.pattern + r"|\bin vain\b|\bat no attempt\b|\buntold\b", re.IGNORECASE)
IN_CODE = re.compile(PRIVATE.pattern + r"|\b(told|unheard|hears|heard)\b", re.IGNORECASE)
IN_TESTS = re.compile(PRIVATE.pattern + r"|\bwhose\b", re.IGNORECASE)
TEST_NAME = re.compile(r'\bTEST_CASE(?:_METHOD)?\(\s*(?:\w+,\s*)?((?:"(?:[^"\\]|\\.)*"\s*)+)')
SUFFIXES = {".cpp", ".h", ".sql"}
MOST_WORDS = 30


def files(root):
    return [p for folder in ("src", "include") for p in sorted((root / folder).rglob("*"))
            if p.suffix in SUFFIXES]


def comments(text):
    """(line, text) of each block of // lines, markers taken off; drawings and tables are left out."""
    block, start = [], 0
    for number, line in enumerate(text.splitlines() + [""], 1):
        match = re.match(r"\s*///?<? ?(.*)$", line)
        if match and not re.search(r"[│└─>]|  ", match[1].strip()):
            start = start if block else number
            block.append(match[1])
        elif block:
            yield start, " ".join(block)
            block = []


def long_sentences(text):
    for line, block in comments(text):
        for sentence in re.split(r"(?<=[.!?:;])\s+", block):
            if len(sentence.split()) > MOST_WORDS:
                yield line, sentence


def texts_of(root, *patterns):
    """(path, text) of each file; benchmark results are a program's output."""
    for path in sorted(p for pattern in patterns for p in root.glob(pattern)):
        if path.is_file() and "results" not in path.parts:
            yield path.relative_to(root), path.read_text(encoding="utf-8")


def test_names(root):
    """(path, line, name) of each test."""
    for path, text in texts_of(root, "tests/**/*.cpp"):
        for match in TEST_NAME.finditer(text):
            name = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', match[1]))
            yield path, text.count("\n", 0, match.start()) + 1, name


def test_comments(root):
    """(path, line, comment) of each line of tests that has one."""
    for path, text in texts_of(root, "tests/**/*.cpp", "tests/**/*.h"):
        for number, line in enumerate(text.splitlines(), 1):
            match = re.search(r"(?:^|\s)//.*$", line)
            if match:
                yield path, number, match[0]


def count(pattern, lines, shows):
    """How often the pattern is in (path, number, text) of each line, and how many lines there are."""
    total = found = 0
    for path, number, text in lines:
        here = len(pattern.findall(text))
        total, found = total + 1, found + here
        if here and shows:
            print(f"{path}:{number}: {text.strip()}")
    return found, total


def numbered(files):
    for path, text in files:
        for number, line in enumerate(text.splitlines(), 1):
            yield path, number, line


def main(words):
    shows = "--list" in words
    root = pathlib.Path(next((w for w in words if not w.startswith("-")), "."))
    sources = [(p.relative_to(root), p.read_text(encoding="utf-8")) for p in files(root)]
    docs = texts_of(root, "*.md", "docs/*.md", "bench/*.md", "examples/*.md", "tests/**/*.md")
    for what, pattern, lines, goal in (
            ("lines of src and include", IN_CODE, numbered(sources), "1.0"),
            ("comments of tests", IN_CODE, test_comments(root), "1.0"),
            ("lines of docs", PRIVATE, numbered(docs), "1.0"),
            ("names of tests", IN_TESTS, test_names(root), "0")):
        found, total = count(pattern, lines, shows)
        print(f"{total} {what}; such words: {found}, {1000 * found / max(1, total):.1f} in 1,000"
              f" (goal: {goal})")
    long = 0
    for path, text in sources:
        if path.suffix == ".h":
            for number, sentence in long_sentences(text):
                long += 1
                if shows:
                    print(f"{path}:{number}: {len(sentence.split())} words: {sentence}")
    print(f"sentences over {MOST_WORDS} words in headers: {long} (goal: 0)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
