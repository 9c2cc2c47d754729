#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How our files look: what a formatter cannot spoil in aligned tables and a reader notices.

Spaces and no tabs, no trailing blanks, 132 columns (a row of a table may have 180), one newline at the end, an SPDX line first,
our headers in order, functions of at most 60 lines and files of at most 1,000 (an exception says why in ALLOWED). What a page
or a comment names exists.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, ROW_WIDTH, FUNCTION_LINES, FILE_LINES = 132, 180, 60, 1000
TABLE_ROW = re.compile(r"\s*(\{|\[\w+\] *=|#define |ROUTE\()")
# file -> why it may be long: tables of facts
ALLOWED = {}
# (file, word): a value of the reference's, not a mark of ours
VALUES = {("src/nova/metadata/content.c", "FIXME")}  # as nova's EC2 metadata says
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


# A file by the end of its path, or a folder. Upstream's files, which comments name, end with .py.
NAMED_IN_PAGE = re.compile(r"`([\w./-]+\.(?:c|h|py|md|sh|build)|(?:src|tests|tools|docs|bench|images)/[\w./-]*)`")
NAMED_IN_CODE = re.compile(r"(?<![\w./%<*-])((?:[a-z0-9_]+/)*[a-z0-9_]+\.[ch])\b")


def tracked():
    out = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in out.splitlines()]


def functions(lines):
    """(line number, length) of each function body: Linux braces, so a body is what lies between '{' and '}' in column 1."""
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin is not None:
            yield begin, number - begin
            begin = None


def check(path, report):
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    lines = text.split("\n")
    if not text.endswith("\n") or text.endswith("\n\n"):
        report(name, len(lines), "ends with exactly one newline")
    head = "\n".join(lines[:3])
    if "SPDX-License-Identifier: Apache-2.0" not in head:
        report(name, 1, "no SPDX line")
    for number, line in enumerate(lines, 1):
        if "\t" in line:
            report(name, number, "a tab")
        if line != line.rstrip():
            report(name, number, "trailing blanks")
        if len(line) > (ROW_WIDTH if TABLE_ROW.match(line) else WIDTH):
            report(name, number, f"{len(line)} columns")
        word = UNFINISHED.search(line)
        if word and path.name != "check_format.py" and (name, word.group(0)) not in VALUES:
            report(name, number, "an unfinished word")
    if path.suffix == ".c" or path.suffix == ".h":
        if len(lines) > FILE_LINES and name not in ALLOWED:
            report(name, FILE_LINES, f"{len(lines)} lines")
        for number, (line, after) in enumerate(zip(lines, lines[1:]), 2):
            if line.startswith('#include "') and after.startswith('#include "') and after < line:
                report(name, number, "not in order")
        for begin, length in functions(lines):
            if length > FUNCTION_LINES:
                report(name, begin, f"a function of {length} lines")


def known_names(paths):
    """Every end of every path: "sql.h" and "oslo/sql.h" for src/oslo/sql.h; folders with and without the last slash."""
    names = set()
    for path in paths:
        parts = path.relative_to(ROOT).parts
        names.update("/".join(parts[i:]) for i in range(len(parts)))
        for end in range(1, len(parts)):
            names.update(("/".join(parts[:end]), "/".join(parts[:end]) + "/"))
    return names


def check_names(path, known, report):
    pattern = NAMED_IN_PAGE if path.suffix == ".md" else NAMED_IN_CODE
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for word in [] if line.startswith("#include") else pattern.findall(line):
            if word not in known:
                report(str(path.relative_to(ROOT)), number, f"there is no {word}")


def main():
    bad = []

    def report(name, line, why):
        bad.append(f"{name}:{line}: {why}")

    paths = [p for p in tracked() if p.exists()]
    files = [p for p in paths if p.suffix in (".c", ".h", ".py", ".sh")]
    known = known_names(paths)
    for path in files:
        check(path, report)
    for path in paths:
        if path.suffix == ".md" or (path.suffix in (".c", ".h") and ROOT / "src" in path.parents):
            check_names(path, known, report)
    for line in bad:
        print(line)
    print(f"{len(files)} files, {len(bad)} remarks")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
