# SPDX-License-Identifier: Apache-2.0
"""One name, one meaning: two headers must not define different things of one name.

Every kernel file is a translation unit of its own, so the linker would silently keep
one of two inline functions or classes that differ (the one definition rule).
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "csrc" / "kernels"
SPACE = re.compile(r"^namespace(?: (\w+))? \{")
CLOSED = re.compile(r"^\}  // namespace")
TYPE = re.compile(r"^(?:struct|class|union) (\w+)\b(?! *[;<])")  # no specializations
FUNCTION = re.compile(r"^(?:FASTNN_\w+|inline|constexpr) [\w:<>*& ]*?(\w+)(\([^;{]*)")


def definitions(text: str) -> list[str]:
    """Types, and functions that are no templates with their parameters."""
    spaces: list[str] = []
    found = []
    before = ""
    for line in text.splitlines():
        if m := SPACE.match(line):
            spaces.append(m[1] or "-")
        elif CLOSED.match(line) and spaces:
            spaces.pop()
        where = "::".join(spaces)
        if "-" in spaces:  # unnamed: of this file alone
            continue
        if m := TYPE.match(line):
            found.append(f"{where}::{m[1]}")
        elif (m := FUNCTION.match(line)) and not before.startswith("template"):
            found.append(f"{where}::{m[1]}{m[2]}")
        before = line
    return found


def test_the_reader_sees_types_and_functions_in_their_namespaces() -> None:
    text = (
        "struct A {\n};\nnamespace pool {\nstruct A;\nstruct B {\n};\n"
        "FASTNN_INLINE int64_t f(int64_t a) { return a; }\n}  // namespace pool\n"
        "namespace {\nstruct C {\n};\n}  // namespace\n"
    )
    assert definitions(text) == ["::A", "pool::B", "pool::f(int64_t a) "]


def test_no_name_is_defined_in_two_headers() -> None:
    where = defaultdict(set)
    for path in sorted(KERNELS.rglob("*.hpp")):
        for name in definitions(path.read_text()):
            where[name].add(path.relative_to(KERNELS).as_posix())
    assert len(where) > 100
    assert {name: files for name, files in where.items() if len(files) > 1} == {}
