# SPDX-License-Identifier: Apache-2.0
"""Where a call of `fit` is: what a resumed one needs beyond the model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastnn.callbacks import CallbackList
from fastnn.errors import warn_user


class FitRun:
    """A call of `fit`, whose position can be written down and taken up again.

    Attributes:
        epoch: number of the current epoch, or of the next one between epochs.
        done: batches of it that have run.
        logs: those of the last epoch, or of the last batch.
        completed: all epochs have run, or training was stopped; no error ended it.
        resumed: `done` batches of the epoch ran before a restart.
        stopped: training was stopped before a restart.
    """

    def __init__(
        self, model: Any, source: Any, checks: Any, callbacks: CallbackList, epoch: int
    ) -> None:
        self.model = model
        self.source = source
        self.checks = checks
        self.callbacks = callbacks
        self.epoch = epoch
        self.done = 0
        self.logs: dict[str, float] = {}
        self.completed = False
        self.resumed = False
        self.stopped = False
        self._restore: Any = None
        # Of the callbacks: attributes that are arguments, as they were given. Those
        # that others add in the middle of training are not among them.
        self._given = {id(c): (c, _arguments(c)) for c in callbacks.callbacks}

    def __reduce__(self) -> Any:
        """A copy of the model is not in the middle of anything."""
        return type(None), ()

    # -- writing ---------------------------------------------------------------------

    def state(self, epoch: int, done: int, logs: dict[str, Any]) -> dict[str, Any]:
        """Plain data; with what the file keeps of the model, all that training needs.

        Args:
            epoch: the current epoch, or the next one between epochs.
            done: batches of it that have run.
            logs: of the last epoch or batch.
        """
        runner = self.model._get_runner()
        logged = runner.logs or {}
        return {
            "epoch": epoch,
            "done": done,
            "logs": dict(logs),
            "step_logs": {k: _number(v) for k, v in logged.items()},
            "stop_training": bool(self.model.stop_training),
            "source": self.source.state(),
            "checks": None if self.checks is None else self.checks.state(),
            "callbacks": self._callback_states(),
        }

    def _callback_states(self) -> list[list[Any]]:
        """[class, what it remembers] of each; arguments only where they have changed.

        So a resumed run may be given other ones, such as a file name or a patience.
        """
        states = []
        for callback in self.callbacks.callbacks:
            _, given = self._given.get(id(callback), (callback, {}))
            state = {
                name: value
                for name, value in callback.get_state().items()
                if name not in given or not _same(given[name], value)
            }
            states.append([type(callback).__name__, state])
        return states

    # -- reading ---------------------------------------------------------------------

    def resume(self, state: dict[str, Any], restore_model: Any) -> None:
        """Goes on from a state, before the first epoch.

        Args:
            state: what `state` gave.
            restore_model: a function that gives the model its variables, and the
                random streams their places.
        """
        self.epoch, self.done = state["epoch"], state["done"]
        self.logs = dict(state["logs"])
        self.resumed = self.done > 0
        self.stopped = state["stop_training"] and not self.resumed

        def restore(whole: bool) -> None:
            if whole:
                self.source.resume(state["source"], self.done)
                if self.checks is not None and state["checks"] is not None:
                    self.checks.resume(state["checks"], 0)
            self._restore_callbacks(state["callbacks"])
            restore_model()
            runner = self.model._get_runner(trains=True)
            runner.logs = state["step_logs"] or None
            self.model.stop_training = state["stop_training"]

        restore(True)
        self._restore = restore

    def after_epoch_begin(self) -> None:
        """In an epoch that is resumed, `on_epoch_begin` ran long ago: undoes it."""
        if self.resumed:
            self._restore(False)

    def next_epoch(self) -> None:
        """The epoch is over."""
        self.epoch += 1
        self.done = 0
        self.resumed = False
        self._restore = None

    def _restore_callbacks(self, states: list[Any]) -> None:
        waiting = list(self.callbacks.callbacks)
        for name, state in states:
            found = next((c for c in waiting if type(c).__name__ == name), None)
            if found is None:
                warn_user(
                    f"[BackupAndRestore] the interrupted run had a callback {name}, "
                    "this one has not."
                )
                continue
            waiting.remove(found)
            found.set_state(state)


def _number(value: Any) -> Any:
    return value.numpy()[()] if hasattr(value, "numpy") else value


def _arguments(callback: Any) -> dict[str, Any]:
    """The attributes of a callback that have the names of its arguments."""
    cls: Any = type(callback)
    names = _argument_names(cls)
    return {k: v for k, v in vars(callback).items() if k in names}


@lru_cache(maxsize=64)  # every `fit` asks, and `signature` takes 0.1 ms
def _argument_names(cls: type) -> frozenset[str]:
    from inspect import signature

    bases = [base for base in cls.__mro__[:-1] if "__init__" in vars(base)]
    return frozenset(name for base in bases for name in signature(base).parameters)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return type(a) is type(b) and bool(a == b)
