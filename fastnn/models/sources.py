# SPDX-License-Identifier: Apache-2.0
"""Where an epoch's batches come from, and how its progress is reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from fastnn import random, seeds
from fastnn._switches import limited_steps
from fastnn.callbacks import CallbackList
from fastnn.data import ArrayData, StreamData
from fastnn.models.checks import check_count
from fastnn.models.results import as_logs

_PROGRESS_INTERVAL = 0.05  # seconds between reports; reading metrics is not free


class ArraySource:
    """All batches of arrays in memory, run by the runner in one call."""

    def __init__(self, data: ArrayData, batch_size: int, shuffle: bool) -> None:
        self.data = data
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.steps: int | None = data.num_batches(batch_size)
        self.exhausted = False
        self._seed: int | None = None
        self._begun = 0  # batches of the epoch that ran before a restart

    def state(self) -> dict[str, Any]:
        """The order of the current epoch."""
        return {"seed": self._seed}

    def resume(self, state: dict[str, Any], done: int) -> None:
        """Goes on after `done` batches of an epoch."""
        self._seed, self._begun = state["seed"], done

    def run(self, runner: Any, kind: str, progress: Progress) -> None:
        """One epoch of training ("train") or evaluation ("test")."""
        start, self._begun = self._begun, 0
        if not self.steps or start < self.steps:
            progress.begin(start)
        arrays, every = self.data.arrays, progress.every
        if kind == "train":
            if not start:
                self._seed = seeds.next_seed() if self.shuffle else None
            runner.train_epoch(
                *(arrays, self.batch_size, self._seed, progress.report),
                every_batch=every,
                start=start,
            )
        else:
            runner.test_epoch(
                arrays, self.batch_size, progress.report, every_batch=every
            )
        if not progress.stopped:
            progress.done = self.steps or 0

    def close(self) -> None:
        """Nothing is open."""


class StreamSource:
    """Batches that arrive one by one.

    Args:
        start: begins a pass, in the order of a seed, and returns its iterator.
        steps: batches per epoch; None for a whole pass.
        restarts: whether a pass can begin again in the middle of an epoch.
        shuffles: whether each pass has an order of its own.
        hooks: its `begin_epoch` and `end_epoch` are called around each epoch, however
            many passes or parts of one that is.
    """

    def __init__(
        self,
        start: Callable[[int | None], Iterator[Any]],
        steps: int | None,
        restarts: bool,
        shuffles: bool = False,
        hooks: StreamData | None = None,
    ) -> None:
        self._start = start
        self._shuffles = shuffles
        self._seed: int | None = None
        self._position = 0  # in the current pass
        self._begun = 0  # batches of the epoch that ran before a restart
        self._fixed = steps is not None
        self._restarts = restarts
        self._hooks = hooks
        self._iterator: Iterator[Any] | None = None
        self.steps = steps
        self.exhausted = False

    def state(self) -> dict[str, Any]:
        """The order of the current pass, and how far it is."""
        position = self._position if self._iterator is not None else None
        return {"seed": self._seed, "position": position, "steps": self.steps}

    def resume(self, state: dict[str, Any], done: int) -> None:
        """Goes on after `done` batches of an epoch.

        Batches that were taken before are drawn again and dropped: an iterator has no
        other way to the place where it was.
        """
        self._seed, self._begun = state["seed"], done
        self.steps = state["steps"]
        if done and self._hooks is not None:
            self._hooks.begin_epoch()
        if state["position"] is not None:
            self._iterator = self._start(self._seed)
            self._position = sum(1 for _ in islice(self._iterator, state["position"]))

    def batches(self) -> Iterator[Any]:
        """The batches of one epoch; sets `exhausted` when too few are left."""
        if self._hooks is not None and not self._begun:
            self._hooks.begin_epoch()
        yield from self._epoch()
        if self._hooks is not None:
            self._hooks.end_epoch()

    def _epoch(self) -> Iterator[Any]:
        taken, self._begun = self._begun, 0
        while not self._fixed or taken < (self.steps or 0):
            fresh = self._iterator is None
            if self._iterator is None:
                self._seed = seeds.next_seed() if self._shuffles else None
                self._iterator = self._start(self._seed)
                self._position = 0
            batch = next(self._iterator, None)
            if batch is None:
                self._iterator = None
                if not self._fixed and taken:
                    self.steps = taken
                    return
                if fresh or not self._restarts:
                    self.exhausted = True
                    return
                continue
            taken += 1
            self._position += 1
            yield batch

    def close(self) -> None:
        """Nothing more is wanted: ends what makes batches ahead of time."""
        close = getattr(self._iterator, "close", None)
        self._iterator = None
        if close is not None:
            close()

    def run(self, runner: Any, kind: str, progress: Progress) -> None:
        """One epoch of training ("train") or evaluation ("test")."""
        step = runner.train_batch if kind == "train" else runner.test_batch
        progress.begins = False
        for i, batch in enumerate(self.batches(), self._begun):
            progress.begin(i)
            step(*batch)
            if progress.report(i + 1):
                return


def make_source(
    data: Any, batch_size: int, shuffle: bool, steps: int | None, where: str
) -> ArraySource | StreamSource:
    """The source for prepared data."""
    if steps is not None:
        check_count(where, "steps", steps)
    if not isinstance(data, ArrayData):
        stream = data.stream
        steps = limited_steps(where, steps, stream.length)
        length = stream.length if steps is None else steps

        def begin(seed: int | None) -> Iterator[Any]:
            if seed is None:
                return iter(data.batches())
            return iter(data.batches(random.permutation(stream.length, seed).tolist()))

        shuffles = shuffle and stream.can_shuffle
        source = StreamSource(begin, steps, stream.restarts, shuffles, stream)
        source.steps = length
        return source
    steps = limited_steps(where, steps, data.num_batches(batch_size))
    if steps is None or (steps == data.num_batches(batch_size)):
        return ArraySource(data, batch_size, shuffle)

    def start(seed: int | None) -> Iterator[Any]:
        order = None if seed is None else random.permutation(data.num_samples, seed)
        return data.batches(batch_size, order)

    return StreamSource(start, steps, True, shuffle)


def logs_of(model: Any, runner: Any, step: str) -> dict[str, float]:
    """Results so far.

    A step that the user overrode decides itself what is logged.
    """
    from fastnn.models.trainer import Trainer

    results = None
    if getattr(type(model), step) is not getattr(Trainer, step):
        results = getattr(runner, "logs", None)
    if results is None:
        results = model.get_metrics_result()
    return as_logs(results)


class Progress:
    """Passes what a runner reports on to callbacks.

    Args:
        model, runner, callbacks: whom to ask and to tell.
        kind: "train" or "test".
        total: number of batches, None when unknown.
    """

    def __init__(
        self,
        model: Any,
        runner: Any,
        callbacks: CallbackList,
        kind: str,
        total: int | None,
    ) -> None:
        self.model = model
        self.runner = runner
        self.callbacks = callbacks
        self.kind = kind
        self.total = total
        self.every = (
            callbacks.has_batch_hooks
            if kind == "train"
            else callbacks.has_test_batch_hooks
        )
        self.begins = True  # the source does not announce batches itself
        self.done = 0
        self.stopped = False
        self._last = time.perf_counter()

    def logs(self) -> dict[str, float]:
        """Running means at this moment."""
        return logs_of(self.model, self.runner, f"{self.kind}_step")

    def begin(self, batch: int) -> None:
        """A batch is about to run."""
        if self.every:
            self.callbacks.on_batch(self.kind, "begin", batch, {})

    def report(self, done: int) -> bool:
        """`done` batches have run; returns whether to stop."""
        self.done = done
        if self.every:
            self.callbacks.on_batch(self.kind, "end", done - 1, self.logs())
        if self.callbacks.has_throttled_hooks:
            now = time.perf_counter()
            if now - self._last >= _PROGRESS_INTERVAL:
                self._last = now
                self.callbacks.on_progress(self.kind, done - 1, self.logs())
        self.stopped = self.kind == "train" and self.model.stop_training
        if self.begins and not self.stopped and self.total and done < self.total:
            self.begin(done)
        return self.stopped

    def finish(self) -> dict[str, float]:
        """The epoch is over; returns its logs."""
        logs = self.logs()
        if self.callbacks.has_throttled_hooks and self.done:
            self.callbacks.on_progress(self.kind, self.done - 1, logs)
        return logs
