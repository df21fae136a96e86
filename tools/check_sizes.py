# SPDX-License-Identifier: Apache-2.0
"""The size budget: a file has at most 500 lines, a function at most 60.

`python tools/check_sizes.py` prints what is over budget and exits with 1. Exceptions
stand in tools/size_allowlist.txt as `path[::function] lines reason`. The list may only
shrink: an entry whose place became smaller, or fits the budget, is an error as well.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("csrc", "fastnn", "tests", "benchmarks", "examples", "tools")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
PYTHON = {".py", ".pyi", ".pyx", ".pxd"}
CPP = {".cpp", ".hpp", ".h", ".cu", ".cuh"}


class Item(NamedTuple):
    """A file or a function: where it is, its length, what it may have."""

    place: str
    lines: int
    limit: int


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and length in lines (with decorators) of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            yield node.name, (node.end_lineno or first) - first + 1


def cython_functions(text: str) -> Iterator[tuple[str, int]]:
    """The same for Cython, by indentation: `ast` cannot parse it."""
    head = re.compile(r"^( *)(?:async )?(?:def|c?p?def) [^=\n]*?(\w+) *\(", re.M)
    lines = text.splitlines()
    for match in head.finditer(text):
        indent = len(match[1])
        start = text.count("\n", 0, match.start())
        last = start
        for number in range(start + 1, len(lines)):
            line = lines[number]
            if line.strip():
                if len(line) - len(line.lstrip()) <= indent and line.strip()[0] != ")":
                    break
                last = number
        yield match[2], last - start + 1


_CPP_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | R"(?P<d>[^(\s]*)\(.*?\)(?P=d)" """
    r"""| "(?:\\.|[^"\\\n])*" | (?<![\w'])'(?:\\.|[^'\\\n])+' """
    r"""| ^[ \t]*\#(?:[^\n\\]|\\.|\\\n)*""",
    re.S | re.M | re.X,
)
_NOT_FUNCTION = re.compile(
    r"^(?:class|struct|union|enum|extern|concept)\b|=\s*$"
    r"|(?:^|\n)\s*(?:inline )?namespace\b[^()]*$"  # maybe after a macro without a ;
)
_LEADING = re.compile(r"(?:\s|(?:public|private|protected)\s*:(?!:))*")
_NAME = re.compile(r"(operator\s*(?:\(\)|[^\s\w(]+)|~?\w+)\s*\(")


def cpp_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and length of each C++ or CUDA function, by counting braces.

    A block is a function's when the text before its brace, back to the last `;`, `{`
    or `}`, has a parameter list and is no type, namespace or initialiser.
    """
    # Newlines stay, so positions still tell lines.
    code = _CPP_NOISE.sub(lambda m: re.sub(r"[^\n]+", " ", m[0]), text)
    blocks: list[tuple[str, int]] = []  # function name, or "", and where it starts
    statement = 0
    for match in re.finditer(r"[{};]", code):
        where = match.start()
        if match[0] == "{":
            if not code[where - 1].isspace():  # x_{x}: an initialiser, not a block
                blocks.append(("{}", statement))
                continue
            inside = any(name not in ("", "{}") for name, _ in blocks)
            name = "" if inside else _function_name(code[statement:where])
            blocks.append((name, statement))
        elif match[0] == "}" and blocks:
            name, start = blocks.pop()
            if name == "{}":
                continue
            if name:
                start += _LEADING.match(code[start:where]).end()
                yield name, code.count("\n", start, where) + 1
        statement = where + 1


def _function_name(head: str) -> str:
    """Name of the function whose text before its brace is `head`, else empty."""
    head = re.sub(r"^\s*template\s*<.*?>\s*(?=\w)", "", head, flags=re.S).strip()
    found = _NAME.search(head)
    return "" if found is None or _NOT_FUNCTION.search(head) else found[1]


def measure(path: Path) -> Iterator[Item]:
    """The file at `path` and each of its functions."""
    text = path.read_text(encoding="utf-8")
    place = path.relative_to(ROOT).as_posix()
    yield Item(place, len(text.splitlines()), MAX_FILE_LINES)
    if path.suffix in CPP:
        functions = cpp_functions(text)
    elif path.suffix in {".pyx", ".pxd"}:
        functions = cython_functions(text)
    else:
        functions = python_functions(text)
    for name, lines in functions:
        yield Item(f"{place}::{name}", lines, MAX_FUNCTION_LINES)


def source_files() -> Iterator[Path]:
    """Every source file of the project; what a build generated is left out."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in PYTHON | CPP and not is_generated(path):
                yield path


def is_generated(path: Path) -> bool:
    """Cython's C++ beside its .pyx, and stubs that tools/gen_stubs.py writes."""
    if path.suffix == ".cpp" and path.with_suffix(".pyx").exists():
        return True
    return path.suffix == ".pyi" and "gen_stubs" in path.read_text("utf-8")[:300]


def read_allowlist() -> dict[str, int]:
    """Place and allowed lines of each exception."""
    allowed = {}
    text = (ROOT / "tools" / "size_allowlist.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            place, lines, _reason = line.split(maxsplit=2)
            allowed[place] = int(lines)
    return allowed


def complaints() -> list[str]:
    """One sentence for each breach of the budget and each stale exception."""
    allowed = read_allowlist()
    longest: dict[str, Item] = {}
    for path in source_files():
        for item in measure(path):
            if item.place not in longest or item.lines > longest[item.place].lines:
                longest[item.place] = item
    found = []
    for place, lines, limit in longest.values():
        bound = allowed.get(place, limit)
        if lines > bound:
            found.append(f"{place}: {lines} lines, at most {bound}")
    for place, bound in allowed.items():
        actual = longest.get(place)
        if actual is None or actual.lines <= actual.limit:
            found.append(f"tools/size_allowlist.txt: {place} needs no exception now")
        elif actual.lines < bound:
            found.append(
                f"tools/size_allowlist.txt: {place} has {actual.lines} lines now, "
                f"lower its {bound}"
            )
    return found


if __name__ == "__main__":
    problems = complaints()
    print("\n".join(problems) or "size budget kept")
    sys.exit(bool(problems))
