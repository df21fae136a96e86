# SPDX-License-Identifier: Apache-2.0
"""The progress bar: a live line in a terminal, one plain line per epoch elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastnn._switches import LogStream, output_stream
from fastnn.callbacks.callback import Callback

_MIN_INTERVAL = 0.1  # seconds between redraws: a terminal is slower than a small epoch
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


class Progbar:
    """Displays the progress of a loop.

    Args:
        target: number of steps, None when unknown.
        width: width of the bar in characters.
        verbose: 0 silent, 1 live bar (one line at the end when the stream is no
            terminal), 2 one line at the end.
        interval: least number of seconds between two redraws.
        stateful_metrics: names shown as they are; others are averaged over the steps.
        unit_name: word for one step.
        stream: where to write, standard output (or the log) by default.
        prefix: text before the plain line, "Epoch 1/5 - ".
    """

    def __init__(
        self,
        target: int | None,
        width: int = _WIDTH,
        verbose: int = 1,
        interval: float = _MIN_INTERVAL,
        stateful_metrics: Sequence[str] | None = None,
        unit_name: str = "step",
        *,
        stream: Any = None,
        prefix: str = "",
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self.prefix = prefix
        self.stateful_metrics = set(stateful_metrics or ())
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
            if name in self.stateful_metrics:
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
            return f"{self.prefix}{counter} - {elapsed:.0f}s - {pace}{values}"
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


class ProgbarLogger(Callback):
    """Shows the progress of fit, evaluate and predict on the standard output.

    Each epoch gets its line with the time per step, the running means and the results
    of validation. Validation inside `fit` shows no bar of its own.
    """

    throttled = True

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progbar | None = None
        self._verbose = 1
        self._in_fit = False
        self._steps_done = 0

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._verbose = params.get("verbose", 1)

    def _start(self, prefix: str = "") -> None:
        self._steps_done = 0
        self._bar = Progbar(
            self.params.get("steps"),
            verbose=self._verbose,
            stateful_metrics=(),
            prefix=prefix,
        )

    def _show(self, done: int, logs: Any, finalize: bool = False) -> None:
        bar = self._bar
        if bar is None:
            return
        self._steps_done = done
        values = logs or {}
        bar.stateful_metrics.update(values)  # logs are running means already
        bar.update(done, values, finalize=finalize)

    def on_train_begin(self, logs: Any = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Any = None) -> None:
        self._in_fit = False
        self._bar = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        title = f"Epoch {epoch + 1}/{self.params.get('epochs', '?')}"
        stream = output_stream()
        live = self._verbose == 1 and stream is not None and is_dynamic(stream)
        if live:
            stream.write(title + "\n")
        self._start("" if live else f"{title} - ")

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._show(self._steps_done or 1, logs, finalize=True)

    def on_test_begin(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        if not self._in_fit:
            self._show(batch + 1, logs)

    def on_test_end(self, logs: Any = None) -> None:
        if not self._in_fit:
            self._show(self._steps_done or 1, logs, finalize=True)

    def on_predict_begin(self, logs: Any = None) -> None:
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._show(batch + 1, None)

    def on_predict_end(self, logs: Any = None) -> None:
        self._show(self._steps_done or 1, None, finalize=True)
