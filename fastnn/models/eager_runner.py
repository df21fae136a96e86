# SPDX-License-Identifier: Apache-2.0
"""Runs train, test and predict steps one Python call at a time.

The same interface as the native runner of steps.py: the path of `run_eagerly=True`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from fastnn import config, random, tree
from fastnn.autodiff.tensor import convert_to_tensor
from fastnn.data import ArrayData, pack_x_y_sample_weight
from fastnn.models.quick import Ready
from fastnn.models.results import concatenate

OnProgress = Callable[[int], bool]


def _tensor(array: Any) -> Any:
    """Floats in the default dtype, as the native gather gives them."""
    if array is None:
        return None
    array = np.asarray(array)
    return convert_to_tensor(
        array, dtype=config.floatx() if array.dtype.kind == "f" else None
    )


class EagerRunner:
    """Steps of a model, each a call of its `train_step`, `test_step`, `predict_step`.

    Args:
        model: a compiled model.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.logs: dict[str, Any] | None = None  # what the last step returned
        self.ready = Ready()  # nothing is

    def calling(self, x: np.ndarray) -> None:
        """No short way for `model(x)`."""

    def remember(self, kind: str, given: Any, arrays: Any, order: list[str]) -> None:
        """Nothing."""

    def forget(self, kind: str) -> None:
        """Nothing: every step is a new call of the model."""

    def release(self, kind: str | None = None) -> None:
        """Nothing: no data is kept."""

    def plan(self, kind: str = "train") -> Any:
        """There is none.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            f"[plan] '{self.model.name}' runs eagerly and has no {kind} plan: "
            "run_eagerly=True was set, or a warning named the line that cannot be "
            "traced."
        )

    def train_epoch(
        self,
        data: Any,
        batch_size: int,
        shuffle_seed: int | None,
        on_progress: OnProgress,
        every_batch: bool = False,
        start: int = 0,
    ) -> None:
        """One pass over (x, y, sample_weight) in memory; metrics add up.

        The first `start` batches have run before.
        """
        step = self.train_batch
        self._epoch(step, data, batch_size, shuffle_seed, on_progress, start)

    def test_epoch(
        self,
        data: Any,
        batch_size: int,
        on_progress: OnProgress,
        every_batch: bool = False,
    ) -> None:
        """One pass without training."""
        self._epoch(self.test_batch, data, batch_size, None, on_progress)

    def _epoch(
        self,
        step: Callable[..., Any],
        data: Any,
        batch_size: int,
        seed: int | None,
        on_progress: OnProgress,
        start: int = 0,
    ) -> None:
        batches = islice(_batches(data, batch_size, seed), start, None)
        for done, batch in enumerate(batches, start + 1):
            step(*batch)
            if on_progress(done):
                return

    def predict(self, x: Any, batch_size: int) -> Any:
        """Outputs for all of x, as an array (or a structure of arrays)."""
        parts = [
            self.predict_batch(b[0]) for b in _batches((x, None, None), batch_size)
        ]
        return concatenate(parts)

    def train_batch(self, x: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """One training step; returns the logs of `train_step`."""
        return self._step(self.model.train_step, x, y, sample_weight)

    def test_batch(self, x: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """One test step; returns the logs of `test_step`."""
        return self._step(self.model.test_step, x, y, sample_weight)

    def _step(
        self, step: Callable[..., Any], x: Any, y: Any, sample_weight: Any
    ) -> dict[str, Any]:
        parts = [tree.map_structure(_tensor, part) for part in (x, y, sample_weight)]
        self.logs = step(pack_x_y_sample_weight(*parts))
        return self.logs

    def predict_batch(self, x: Any) -> Any:
        """Outputs for one batch, as an array (or a structure of arrays)."""
        # In a tuple of one: several inputs must not be taken for (x, y).
        outputs = self.model.predict_step((tree.map_structure(_tensor, x),))
        return tree.map_structure(lambda y: y.numpy(), outputs)


def _batches(data: Any, batch_size: int, seed: int | None = None) -> Iterator[Any]:
    x, y, sample_weight = data
    count = len(tree.flatten(x)[0])
    order = None if seed is None else random.permutation(count, seed)
    return ArrayData(x, y, sample_weight, count).batches(batch_size, order)
