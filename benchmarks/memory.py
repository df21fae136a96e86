# SPDX-License-Identifier: Apache-2.0
"""Peak memory of this process from one moment on, as Linux counts resident pages."""

from __future__ import annotations

from pathlib import Path

_PROCESS = Path("/proc/self")


class Peak:
    """From its making on: `above()` is the highest resident size since then over the
    resident size at that moment, in bytes; None on systems that do not tell."""

    def __init__(self) -> None:
        self.known = (_PROCESS / "clear_refs").exists()
        if self.known:
            # 5 sets the peak back to what is resident now (proc_pid_clear_refs(5)).
            (_PROCESS / "clear_refs").write_text("5")
            self.start = resident("VmRSS")

    def above(self) -> int | None:
        return max(0, resident("VmHWM") - self.start) if self.known else None


def resident(field: str) -> int:
    """A line of /proc/self/status in bytes: VmRSS, VmHWM."""
    for line in (_PROCESS / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(f"[resident] /proc/self/status has no {field}.")
