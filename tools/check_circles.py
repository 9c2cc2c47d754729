#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Files that call each other in a circle, read off the symbols of a build: check_circles.py BUILD

What calls goes one way, so that a file can be read without those that stand on it. Only the files of one engine of oslo or base,
which are one thing in several files, may call each other, and the one circle that the product itself is: a service that is
asked asks another who the caller is.
"""
import pathlib
import subprocess
import sys

SRC = pathlib.Path(__file__).resolve().parent.parent / "src"
ENGINES = ("base", "oslo")
ASKED = {"oslo/http", "oslo/identity", "oslo/rest"}


def symbols(build):
    """{file: (defined, needed)}, by nm."""
    objects = {build / "libnubo.a.p" / ("src_" + str(path.relative_to(SRC)).replace("/", "_") + ".o"): str(path.relative_to(SRC))
               for path in SRC.rglob("*.c")}
    present = [path for path in objects if path.exists()]
    out = subprocess.run(["nm", "-A", "-P", *present], check=True, capture_output=True, text=True).stdout
    files = {objects[path]: (set(), set()) for path in present}
    for line in out.splitlines():
        place, name, kind = line.split()[:3]
        if kind in "TDBRC":
            files[objects[pathlib.Path(place[:-1])]][0].add(name)
        elif kind == "U":
            files[objects[pathlib.Path(place[:-1])]][1].add(name)
    return files


def calls(files):
    """{file: {files that it needs}}"""
    home = {name: file for file, (defined, _) in files.items() for name in defined}
    return {file: {home[name] for name in needed if name in home} - {file} for file, (_, needed) in files.items()}


def circles(graph):
    """Tarjan's strongly connected components of two files or more."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for other in sorted(graph[file]):
            if other not in index:
                visit(other)
                low[file] = min(low[file], low[other])
            elif other in stack:
                low[file] = min(low[file], index[other])
        if low[file] == index[file]:
            circle = stack[stack.index(file):]
            del stack[stack.index(file):]
            if len(circle) > 1:
                found.append(sorted(circle))

    sys.setrecursionlimit(10000)
    for file in sorted(graph):
        if file not in index:
            visit(file)
    return found


def allowed(circle):
    folders = {file.rpartition("/")[0] for file in circle}
    if circle[0].split("/")[0] not in ENGINES:
        return False
    return folders <= ASKED or len({"/".join(folder.split("/")[:2]) for folder in folders}) == 1


def main():
    graph = calls(symbols(pathlib.Path(sys.argv[1])))
    bad = [circle for circle in circles(graph) if not allowed(circle)]
    for circle in bad:
        print("a circle:", " ".join(circle))
    print(f"{len(graph)} files, {len(bad)} circles")
    return 1 if bad or not graph else 0


if __name__ == "__main__":
    sys.exit(main())
