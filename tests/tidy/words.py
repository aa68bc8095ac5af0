#!/usr/bin/env python3
"""Counts what makes the sources hard to read: words for people, and long sentences in headers.

Usage: tests/tidy/words.py [--list] [ROOT]

Words for people (who, whoever, somebody, nobody ...; not "whose") name no part of the program: a process is "it".
The goal is at most 1 in 1,000 lines of src and include. A sentence of a header's comment has at most
30 words. --list prints each place. A tool for reviews: it ends with 0.
"""
import pathlib
import re
import sys

PEOPLE = re.compile(r"\b(who|whoever|whom|somebody|someone|nobody|anybody|everybody|everyone)\b",
                    re.IGNORECASE)
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


def main(words):
    shows = "--list" in words
    root = pathlib.Path(next((w for w in words if not w.startswith("-")), "."))
    lines = people = long = 0
    for path in files(root):
        text = path.read_text(encoding="utf-8")
        lines += text.count("\n")
        for number, line in enumerate(text.splitlines(), 1):
            found = PEOPLE.findall(line)
            people += len(found)
            if found and shows:
                print(f"{path.relative_to(root)}:{number}: {line.strip()}")
        if path.suffix == ".h":
            for number, sentence in long_sentences(text):
                long += 1
                if shows:
                    print(f"{path.relative_to(root)}:{number}: {len(sentence.split())} words: {sentence}")
    print(f"{lines} lines; words for people: {people}, {1000 * people / max(1, lines):.1f} in 1,000 lines"
          f" (goal: 1.0); sentences over {MOST_WORDS} words in headers: {long} (goal: 0)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
