# SPDX-License-Identifier: Apache-2.0
"""Epochs that nobody watches, several per native call.

An epoch costs about 0.1 ms of Python beside its steps: callbacks, metrics read and set
to zero, the order of the rows. Where an epoch takes that long itself (90 steps of 2 us)
and only `History` listens, the native side shuffles, runs and notes the sums of the
metrics epoch by epoch, in calls that last as long as those of other epochs, so that
Ctrl-C is answered as soon.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config, seeds
from fastnn.callbacks import CallbackList, History
from fastnn.graph.plan import Plan, run_epochs
from fastnn.metrics.base import Metric
from fastnn.metrics.mean import Mean
from fastnn.models.checks import warn_of_nan
from fastnn.models.sources import ArraySource
from fastnn.models.steps import CALL_SECONDS, StepRunner

if TYPE_CHECKING:
    from fastnn.models.fit_run import FitRun
    from fastnn.models.steps import Program

MOST_EPOCHS = 1000  # in one call
FLOATS = ("float32", "float64")


class QuietEpochs:
    """Runs epochs of a call of `fit` without looking at each; the first one has run.

    Args:
        run: the call.
        batch_size: rows per step.
    """

    def __init__(self, run: FitRun, batch_size: int) -> None:
        self._run, self._batch = run, batch_size
        callbacks = run.callbacks
        self._allowed = (
            run.checks is None
            and type(run.source) is ArraySource
            and type(callbacks) is CallbackList
            and all(type(c) is History for c in callbacks.callbacks)
            and _is_plain(run.model)
        )

    def run(self, left: int) -> int:
        """Runs some of the `left` epochs; returns how many, 0 when they must be run
        one by one.
        """
        if left < 2 or not self._allowed:
            return 0
        run = self._run
        metrics = [m for m, _ in run.model._reported()]
        states = [v for m in metrics for v in (m.total, m.count)]
        runner = run.model._get_runner(trains=True)
        parts = self._parts(runner, states)
        if len(metrics) != len(run.model.metrics) or not (parts and states):
            return 0
        seconds = sum(steps * program.pace for program, steps in parts)
        most = min(left, MOST_EPOCHS, int(CALL_SECONDS / seconds) if seconds else 0)
        if most < 2:
            return 0
        sums = np.full((most, len(states)), -1.0)
        try:
            self._run_epochs(runner, parts, states, sums)
        finally:  # Ctrl-C is answered between two calls: what has run is noted
            self._note(sums[: np.count_nonzero(sums[:, 1] >= 0)])  # counts
        return most

    def _parts(self, runner: Any, states: list[Any]) -> list[tuple[Program, int]]:
        """(program, steps) of an epoch; none where a plan does not do all there is."""
        if type(runner) is not StepRunner or "train" in runner._untraceable:
            return []
        columns, known = runner._windows("train", self._run.source.data.arrays)
        full, rest = divmod(len(columns[0]), self._batch)
        parts = []
        for size, steps in ((self._batch, full), (rest, 1)):
            if not size or not steps:
                continue
            key = size, *config.traced_under()
            program = known.get(key)
            if program is None or not program.pace or program.result is not None:
                return []
            plan, written = program.plan, [*states, runner._cursors["train"]]
            if type(plan) is not Plan or not plan.writes(written):
                return []
            parts.append((program, steps))
        return parts

    def _run_epochs(
        self,
        runner: Any,
        parts: list[tuple[Program, int]],
        states: list[Any],
        sums: np.ndarray,
    ) -> None:
        """Runs an epoch for each row of `sums`, which takes what the metrics summed."""
        source, epochs = self._run.source, len(sums)
        columns, _ = runner._windows("train", source.data.arrays)
        order = np.arange(len(columns[0]))
        drawn = [seeds.next_seed() if source.shuffle else 0 for _ in range(epochs)]
        if source.shuffle:
            source._seed = drawn[-1]
        inputs = [*(c.memory for c in columns), order]
        plans = [(program.plan, steps) for program, steps in parts]
        start = time.perf_counter()
        cursor = runner._cursors["train"]
        run_epochs(plans, inputs, drawn, source.shuffle, cursor, states, sums)
        seconds = time.perf_counter() - start
        for program, _ in parts:
            program.pace = seconds / epochs / sum(steps for _, steps in parts)

    def _note(self, sums: np.ndarray) -> None:
        """History, as if each epoch had been looked at."""
        run = self._run
        reported = sorted(run.model._reported(), key=lambda pair: pair[1])
        places = {id(m): 2 * i for i, (m, _) in enumerate(run.model._reported())}
        for row in sums.tolist():
            logs = {}
            for metric, name in reported:
                total, count = row[places[id(metric)] :][:2]
                value = total / count if count else 0.0
                logs[name] = float(np.asarray(value, metric.dtype))
            losses = run.model.history.history.get("loss", ())
            warn_of_nan(logs, losses, run.source.data)
            run.callbacks.on_epoch_end(run.epoch, logs)
            run.logs = logs
            run.next_epoch()


def _is_plain(model: Any) -> bool:
    """Whether the model's own step runs, and its metrics are means of zero and more."""
    from fastnn.models.trainer import Trainer

    own = ("train_step", "get_metrics_result", "reset_metrics", "compute_metrics")
    cls = type(model)
    if any(getattr(cls, name) is not getattr(Trainer, name) for name in own):
        return False
    return all(
        isinstance(m, Mean)
        and type(m).result is Mean.result
        and type(m).reset_state is Metric.reset_state
        and len(m.variables) == 2
        and m.dtype in FLOATS
        for m in model.metrics
    )
