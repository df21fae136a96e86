# SPDX-License-Identifier: Apache-2.0
"""Progbar: a live line in a terminal, one plain line at the end elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastnn._registry import export
from fastnn._switches import LogStream, output_stream

_WIDTH = 20


def is_dynamic(stream: Any) -> bool:
    """Whether the stream can redraw its last line (a terminal or a notebook)."""
    if isinstance(stream, LogStream):
        return False
    isatty = getattr(stream, "isatty", None)
    if isatty is not None and isatty():
        return True
    return "ipykernel" in sys.modules or "PYCHARM_HOSTED" in os.environ


def format_time_per_step(seconds: float, unit: str = "step") -> str:
    """`2ms/step`, in the unit that leaves few digits."""
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"


def format_remaining(seconds: float) -> str:
    """`42s`, `1:05` or `1:02:03`."""
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"


def format_values(values: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> str:
    """` - accuracy: 0.9012 - loss: 3.1e-05`, four digits each; means of arrays."""
    items = values.items() if isinstance(values, Mapping) else values
    text = ""
    for name, value in items:
        if getattr(value, "shape", ()) and hasattr(value, "mean"):
            value = float(value.mean())
        if isinstance(value, (int, float)) or getattr(value, "shape", None) == ():
            number = float(value)
            shown = f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}"
        else:
            shown = str(value)
        text += f" - {name}: {shown}"
    return text


@export("keras.utils")
class Progbar:
    """Displays the progress of a loop.

    Args:
        target: number of steps, None when unknown.
        width: width of the bar in characters.
        verbose: 0 silent, 1 live bar (one line at the end when the stream is no
            terminal), 2 one line at the end.
        interval: least number of seconds between two redraws.
        stateful_metrics: names shown as they are; others are averaged over the steps.
        stateless_metrics: names that are averaged; others are shown as they are. Only
            one of the two can be given.
        unit_name: word for one step.
        stream: where to write, standard output (or the log) by default.
    """

    def __init__(
        self,
        target: int | None,
        width: int = _WIDTH,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Sequence[str] | None = None,
        stateless_metrics: Sequence[str] | None = None,
        unit_name: str = "step",
        *,
        stream: Any = None,
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError(
                "[Progbar] give stateful_metrics or stateless_metrics, not both"
            )
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = (
            None if stateless_metrics is None else set(stateless_metrics)
        )
        self._stream = stream
        self._sums: dict[str, tuple[float, int]] = {}
        self._seen = 0
        self._shown = 0  # characters of the line on display
        self._start = time.perf_counter()
        self._last_draw = float("-inf")

    @property
    def stream(self) -> Any:
        """Where to write; None when the process has no standard output."""
        return output_stream() if self._stream is None else self._stream

    def update(
        self,
        current: int,
        values: Sequence[tuple[str, Any]] | Mapping[str, Any] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows that `current` steps are done.

        Args:
            current: steps done since the start.
            values: (name, value) pairs or a dict, for the steps since the last call.
            finalize: whether this is the last call; by default when the target is
                reached.
        """
        steps = max(current - self._seen, 1)
        for name, value in dict(values or {}).items():
            total, count = self._sums.get(name, (0.0, 0))
            if self._is_stateful(name):
                self._sums[name] = (value, 1)
            else:
                self._sums[name] = (total + value * steps, count + steps)
        self._seen = current
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize and self.target is None:
            self.target = current
        stream = self.stream
        if self.verbose not in (1, 2) or stream is None:
            return
        now = time.perf_counter()
        live = self.verbose == 1 and is_dynamic(stream)
        if finalize:
            self._write(stream, self._line(now, live, True), live, end="\n")
        elif live and now - self._last_draw >= self.interval:
            self._last_draw = now
            self._write(stream, self._line(now, True, False), True, end="")

    def _is_stateful(self, name: str) -> bool:
        if self.stateless_metrics is not None:
            return name not in self.stateless_metrics
        return name in self.stateful_metrics

    def add(self, n: int, values: Any = None) -> None:
        """Shows that `n` more steps are done."""
        self.update(self._seen + n, values)

    def _averages(self) -> dict[str, Any]:
        return {
            name: total if count == 1 else total / count
            for name, (total, count) in self._sums.items()
        }

    def _line(self, now: float, live: bool, finalize: bool) -> str:
        elapsed = now - self._start
        per_step = elapsed / max(self._seen, 1)
        pace = format_time_per_step(per_step, self.unit_name)
        values = format_values(self._averages())
        counter = f"{self._seen}/{'Unknown' if self.target is None else self.target}"
        if not live:
            return f"{counter} - {elapsed:.0f}s - {pace}{values}"
        if self.target is None:
            return f"{_bold(counter)} {_bold(f'{elapsed:.0f}s')} {pace}{values}"
        digits = len(str(self.target))
        counter = f"{self._seen:>{digits}}/{self.target}"
        clock = elapsed
        if not finalize and self._seen:
            clock = per_step * (self.target - self._seen)
        bar = self._bar()
        return f"{_bold(counter)} {bar} {_bold(format_remaining(clock))} {pace}{values}"

    def _bar(self) -> str:
        done = int(self.width * min(self._seen / max(self.target or 1, 1), 1.0))
        mark = "━" if _encodes(self.stream, "━") else "="
        return (
            f"\033[32m{mark * done}\033[0m\033[37m{mark * (self.width - done)}\033[0m"
        )

    def _write(self, stream: Any, line: str, live: bool, end: str) -> None:
        visible = _visible_length(line)
        padding = " " * max(self._shown - visible, 0)
        self._shown = visible
        if not _encodes(stream, line):
            line = line.encode("ascii", "replace").decode()
        stream.write(("\r" if live else "") + line + padding + end)
        stream.flush()


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m"


def _visible_length(line: str) -> int:
    length, inside = 0, False
    for character in line:
        if inside:
            inside = character != "m"
        elif character == "\033":
            inside = True
        else:
            length += 1
    return length


def _encodes(stream: Any, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
