# SPDX-License-Identifier: Apache-2.0
"""What was measured on devices of a kind, kept beside the compiled kernels.

Nothing is timed while a model is made: the way a thing is computed, and with it the
last bits of what it gives, would depend on what else the device did then.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda.compiler import cache_folder

if TYPE_CHECKING:
    from pathlib import Path


def path(name: str, architecture: str) -> Path:
    """Of a table, for "sm_90" and the like."""
    return cache_folder() / f"{name}-{architecture}.json"


def read(name: str, architecture: str) -> list[Any]:
    """Rows of a table; none where nothing was measured."""
    try:
        rows: list[Any] = json.loads(path(name, architecture).read_text("utf-8"))
    except (OSError, ValueError):  # none, or not whole
        return []
    return rows


def write(name: str, architecture: str, rows: list[Any]) -> None:
    """Keeps the rows."""
    file = path(name, architecture)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows), "utf-8")
