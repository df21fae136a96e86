# SPDX-License-Identifier: Apache-2.0
"""The text of a module with the kernels that some launches ask for."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastnn.backends.cuda.launches import Launch


@cache
def include_folder() -> Path:
    """Where `cuda/` and `shared/` lie: package data, or csrc of a checkout."""
    package = Path(__file__).resolve().parents[2]
    installed = package / "_cuda"
    return installed if installed.is_dir() else package.parent / "csrc"


def module_text(launches: Collection[Launch]) -> str:
    """C++ with one kernel per symbol; the same set gives the same text."""
    lines = {launch.symbol: launch.text for launch in launches}
    headers = {launch.header for launch in launches}
    codes = {launch.code for launch in launches if launch.code}
    return "".join(
        [
            *(f'#include "cuda/{header}"\n' for header in sorted(headers)),
            *sorted(codes),
            *(f"{lines[symbol]}\n" for symbol in sorted(lines)),
        ]
    )


def headers() -> list[str]:
    """All that a module may include, as `cuda/copy.cuh`."""
    folder = include_folder()
    files = [*folder.glob("cuda/*"), *folder.glob("shared/**/*.h")]
    return sorted(path.relative_to(folder).as_posix() for path in files)


def included(text: str) -> bytes:
    """The files that a module's text includes, for they change what is compiled."""
    found: dict[str, bytes] = {}
    left = _INCLUDE.findall(text.encode())
    while left:
        name = left.pop().decode()
        if name not in found:
            found[name] = _contents(name)
            left += _INCLUDE.findall(found[name])
    return b"".join(found[name] for name in sorted(found))


_INCLUDE = re.compile(rb'^#include "(.+)"', re.MULTILINE)


@cache
def _contents(name: str) -> bytes:
    return (include_folder() / name).read_bytes()
