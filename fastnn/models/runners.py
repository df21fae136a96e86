# SPDX-License-Identifier: Apache-2.0
"""Keeps the runner of a model for as long as its plans are those of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastnn import optimizers
from fastnn._switches import learning_phase
from fastnn.autodiff.tensor import Variable
from fastnn.layers import _changes as layer_changes
from fastnn.layers._tracking import tracked
from fastnn.models.steps import StepRunner
from fastnn.optimizers import _changes as optimizer_changes

T = TypeVar("T")


class RunnerCache:
    """The runner of a model, and what its plans were traced from.

    Everything is compared by value, or by identity with a reference kept: setting
    `trainable` to and fro, as a GAN loop does, keeps the plans.
    """

    def __init__(self) -> None:
        self.runner: Any = None
        self._eagerly = False
        # Of changes, when the model was last looked at; () before.
        self._counts: tuple[int, ...] = ()
        self._optimizer: Any = None
        # Layers, then what is trained: versioned objects and their versions.
        self._structure: list[tuple[Any, ...]] = []
        self._training: list[tuple[Any, ...]] = []
        # While a pass runs: name -> (what it follows from, what was found).
        self._found: dict[str, tuple[Any, Any]] = {}
        self._passes = 0

    def __reduce__(self) -> Any:
        """A copied or pickled model makes its own plans."""
        return RunnerCache, ()

    @contextmanager
    def one_pass(self, kind: str | None = None) -> Iterator[None]:
        """Around a pass over data of one kind ("train", "test"), or of all.

        The model is compared even if no change was noticed (lists that were changed in
        place are not); the data is let go at the end.
        """
        self._counts = ()
        self._found.clear()
        self._passes += 1
        try:
            yield
        finally:
            self._passes -= 1
            self._found.clear()
            if self.runner is not None:
                self.runner.release(kind)

    def within_pass(self, name: str, find: Callable[[], T], *follows: Any) -> T:
        """`find()`; within a pass found again after changes only.

        Metrics are asked for three times an epoch: a third of what the Python around an
        epoch of 90 small steps costs (45 of 140 us).

        Args:
            name: of what is found.
            find: finds it.
            follows: what it follows from besides layers, optimizers and variables.
        """
        if not self._passes:
            return find()
        key = _counts(), follows
        known = self._found.get(name)
        if known is None or known[0] != key:
            known = self._found[name] = key, find()
        found: T = known[1]
        return found

    def get(self, model: Any, trains: bool) -> Any:
        """The runner; a new one, or one without training plans, after a change."""
        if self.runner is None or self._eagerly != model.run_eagerly:
            self.runner = make_runner(model)
            self._eagerly = model.run_eagerly
        if trains:
            model._build_optimizer()
        counts = _counts()
        if self._counts != counts or self._optimizer is not model.optimizer:
            self._counts = counts
            self._optimizer = model.optimizer
            self._compare(model)
        return self.runner

    def current(self, model: Any) -> Any:
        """The runner when nothing was noticed to change since `get`, else None."""
        if (
            self._counts == _counts()
            and self._eagerly == model.run_eagerly
            and self._optimizer is model.optimizer
        ):
            return self.runner
        return None

    def _compare(self, model: Any) -> None:
        structure: list[tuple[Any, ...]] = [(None, learning_phase())]
        structure += [(x, x._version, x._trainable) for x in model._all_layers()]
        training: list[tuple[Any, ...]] = [
            (w, w.constraint, w.regularizer) for w in model._trained()
        ]
        training += [(x, x._versions()) for x in tracked(model, optimizers.Optimizer)]
        if not _same(structure, self._structure):
            if self._structure:
                self.runner = make_runner(model)
        elif not _same(training, self._training):
            self.runner.forget("train")
            self.runner.forget("test")  # its loss has the penalties
        self._structure, self._training = structure, training


def _counts() -> tuple[int, ...]:
    phase = learning_phase()
    return layer_changes.count, optimizer_changes.count, Variable.changes, phase


def make_runner(model: Any) -> Any:
    """The native runner, or the eager one when the model asks for it."""
    if model.run_eagerly:
        from fastnn.models.eager_runner import EagerRunner

        return EagerRunner(model)
    return StepRunner(model)


def _same(a: list[tuple[Any, ...]], b: list[tuple[Any, ...]]) -> bool:
    return len(a) == len(b) and all(
        x[0] is y[0] and x[1:] == y[1:] for x, y in zip(a, b, strict=True)
    )
