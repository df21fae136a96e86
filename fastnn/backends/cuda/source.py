# SPDX-License-Identifier: Apache-2.0
"""The text of a module with the kernels that some launches ask for."""

from __future__ import annotations

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
    return "".join(
        [
            *(f'#include "cuda/{header}"\n' for header in sorted(headers)),
            *(f"{lines[symbol]}\n" for symbol in sorted(lines)),
        ]
    )
