# SPDX-License-Identifier: Apache-2.0
"""What a call costs: for tests of files that want to be large."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def measured(call: Callable[[], Any]) -> tuple[Any, float, int]:
    """(result or exception, seconds of processor, bytes the process grew by at most).

    The kernel's highest resident size is begun anew, where it allows that.
    """
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, began = _size("VmRSS"), time.process_time()
    try:
        outcome = call()
    except Exception as error:
        outcome = error
    taken = time.process_time() - began
    return outcome, taken, _size("VmHWM") - before


def _size(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
