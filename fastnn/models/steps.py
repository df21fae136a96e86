# SPDX-License-Identifier: Apache-2.0
"""Runs a model's steps as native plans: many steps per call, no Python between them.

A training program is traced from `model.train_step` with the batch gathered by its
first op, so an epoch is `plan.run(steps)`. What cannot be traced runs eagerly, with one
warning that names the line.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import config, random, tree
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor, Variable
from fastnn.data import pack_x_y_sample_weight
from fastnn.errors import BackendError, PlanError
from fastnn.graph.passes import optimize
from fastnn.graph.plan import Plan
from fastnn.graph.trace import trace
from fastnn.models.eager_runner import EagerRunner, concatenate
from fastnn.opset import Spec

# One native call lasts about this long: Ctrl-C and the progress bar wait no longer.
CALL_SECONDS = 0.04
STEPS = {"train": "train_step", "test": "test_step"}


class Program:
    """A plan, and the structure of what it returns."""

    def __init__(self, fn: Callable[..., Any], specs: list[Spec], name: str) -> None:
        graph, self._result = trace(fn, specs, name)
        self.plan = Plan(optimize(graph))

    def run(self, arrays: list[np.ndarray], steps: int = 1) -> Any:
        """Run on arrays of the traced specs; returns arrays in the traced structure."""
        values = iter(self.plan.run(arrays, steps))
        return tree.map_structure(
            lambda t: None if t is None else next(values), self._result
        )


class StepRunner:
    """The native runner of a model; the interface is EagerRunner's.

    Args:
        model: a built model; compiled, for training and tests.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.logs: dict[str, Any] | None = None
        self._programs: dict[Any, Program] = {}
        self._cursor = Variable(np.zeros(1, np.int64), trainable=False, name="cursor")
        self._eager: EagerRunner | None = None
        self._dense: tuple[Any, list[np.ndarray]] | None = None

    # -- epochs ----------------------------------------------------------------------

    def train_epoch(
        self,
        data: Any,
        batch_size: int,
        shuffle_seed: int | None,
        on_progress: Callable[[int], bool],
        every_batch: bool = False,
    ) -> None:
        """One pass over (x, y, sample_weight) in memory; metrics add up."""
        self._epoch("train", data, batch_size, shuffle_seed, on_progress, every_batch)

    def test_epoch(
        self,
        data: Any,
        batch_size: int,
        on_progress: Callable[[int], bool],
        every_batch: bool = False,
    ) -> None:
        """One pass without training."""
        self._epoch("test", data, batch_size, None, on_progress, every_batch)

    def _epoch(
        self,
        kind: str,
        data: Any,
        batch_size: int,
        seed: int | None,
        on_progress: Callable[[int], bool],
        every_batch: bool,
    ) -> None:
        if self._eager is None:
            arrays = self._contiguous(data)
            count = len(arrays[0])
            order = (
                np.arange(count) if seed is None else random.permutation(count, seed)
            )
            self._cursor.assign(np.zeros(1, np.int64))
            full, rest = divmod(count, batch_size)
            done = 0
            for steps, size in ((full, batch_size), (1 if rest else 0, rest)):
                if steps == 0:
                    continue
                program = self._epoch_program(kind, data, arrays, size)
                if program is None:
                    break
                inputs = [*arrays, order]
                done = self._run_steps(
                    program, inputs, steps, done, on_progress, every_batch
                )
                if done < 0:
                    return
            else:
                return
        runner = self._eager
        assert runner is not None
        if kind == "train":
            runner.train_epoch(data, batch_size, seed, on_progress, every_batch)
        else:
            runner.test_epoch(data, batch_size, on_progress, every_batch)
        self.logs = runner.logs

    def _run_steps(
        self,
        program: Program,
        inputs: list[np.ndarray],
        steps: int,
        done: int,
        on_progress: Callable[[int], bool],
        every_batch: bool,
    ) -> int:
        """Run steps in calls of about CALL_SECONDS; -1 when asked to stop."""
        chunk = 1
        while steps:
            chunk = min(chunk, steps)
            start = time.perf_counter()
            logs = program.run(inputs, chunk)
            seconds = time.perf_counter() - start
            if logs is not None:
                self.logs = logs
            done += chunk
            steps -= chunk
            if on_progress(done):
                return -1
            if not every_batch and seconds < CALL_SECONDS:
                chunk = max(chunk, int(chunk * min(CALL_SECONDS / seconds, 100.0)))
        return done

    def _contiguous(self, data: Any) -> list[np.ndarray]:
        """The arrays as the gather reads them; converted once for all epochs."""
        leaves = [a for a in tree.flatten(data) if a is not None]
        if self._dense is not None:
            known, dense = self._dense
            if len(known) == len(leaves) and all(
                a is b for a, b in zip(known, leaves, strict=True)
            ):
                return dense
        dense = [np.ascontiguousarray(a) for a in leaves]
        if all(a is b for a, b in zip(leaves, dense, strict=True)):
            self._dense = None  # nothing converted: nothing to remember
        else:
            self._dense = (leaves, dense)
        return dense

    def _epoch_program(
        self, kind: str, data: Any, arrays: list[np.ndarray], batch: int
    ) -> Program | None:
        def body(*tensors: Tensor) -> Any:
            *columns, order = tensors
            rows = [
                raw.gather_rows(c, order, self._cursor, batch, batch_dtype(c.dtype))
                for c in columns
            ]
            self._cursor.assign(raw.add(self._cursor, batch))
            return self._step(kind, data, rows)

        specs = [Spec(a.shape, a.dtype.name) for a in arrays]
        specs.append(Spec((len(arrays[0]),), "int64"))
        return self._program((kind, "epoch", batch), data, specs, body)

    # -- single batches --------------------------------------------------------------

    def train_batch(self, x: Any, y: Any, sample_weight: Any) -> None:
        """One training step."""
        self._batch("train", (x, y, sample_weight))

    def test_batch(self, x: Any, y: Any, sample_weight: Any) -> None:
        """One test step."""
        self._batch("test", (x, y, sample_weight))

    def _batch(self, kind: str, data: Any) -> None:
        if self._eager is None:
            arrays = [
                np.ascontiguousarray(a, batch_dtype(np.asarray(a).dtype.name))
                for a in tree.flatten(data)
                if a is not None
            ]
            specs = [Spec(a.shape, a.dtype.name) for a in arrays]
            program = self._program(
                (kind, "batch"), data, specs, lambda *t: self._step(kind, data, t)
            )
            if program is not None:
                self.logs = program.run(arrays)
                return
        assert self._eager is not None
        step = getattr(self._eager, f"{kind}_batch")
        step(*data)
        self.logs = self._eager.logs

    def _step(self, kind: str, data: Any, tensors: Any) -> Any:
        """Call the model's step; its logs are wanted only where a user wrote it."""
        from fastnn.models.trainer import Trainer

        given = iter(tensors)
        parts = tree.map_structure(lambda a: None if a is None else next(given), data)
        name = STEPS[kind]
        logs = getattr(self.model, name)(pack_x_y_sample_weight(*parts))
        overridden = getattr(type(self.model), name) is not getattr(Trainer, name)
        return logs if overridden else None

    # -- predict ---------------------------------------------------------------------

    def predict(self, x: Any, batch_size: int) -> Any:
        """Outputs for all of x, as an array (or a structure of arrays)."""
        count = len(tree.flatten(x)[0])
        if count <= batch_size:
            return self.predict_batch(x)
        parts = [
            self.predict_batch(_rows(x, i, i + batch_size))
            for i in range(0, count, batch_size)
        ]
        return concatenate(parts)

    def predict_batch(self, x: Any) -> Any:
        """Outputs for one batch, as an array (or a structure of arrays)."""
        if self._eager is None:
            arrays = [
                np.ascontiguousarray(a, batch_dtype(np.asarray(a).dtype.name))
                for a in tree.flatten(x)
            ]
            specs = [Spec(a.shape, a.dtype.name) for a in arrays]

            def body(*tensors: Tensor) -> Any:
                inputs = tree.pack_sequence_as(x, list(tensors))
                return self.model.predict_step((inputs,))

            program = self._program(("predict",), x, specs, body)
            if program is not None:
                return program.run(arrays)
        assert self._eager is not None
        return self._eager.predict_batch(x)

    # -- programs --------------------------------------------------------------------

    def _program(
        self,
        kind: tuple[Any, ...],
        data: Any,
        specs: list[Spec],
        body: Callable[..., Any],
    ) -> Program | None:
        """The program for these shapes; None when it cannot be traced."""
        key = (kind, tuple(specs), tuple(a is None for a in tree.flatten(data)))
        program = self._programs.get(key)
        if program is None:
            name = f"{self.model.name}_{'_'.join(str(k) for k in kind)}"
            try:
                program = Program(body, specs, name)
            except (PlanError, BackendError) as error:
                warnings.warn(
                    f"[fit] {type(self.model).__name__} runs eagerly, which is slower: "
                    f"{error}",
                    UserWarning,
                    stacklevel=2,
                )
                self._eager = EagerRunner(self.model)
                return None
            if len(self._programs) >= 64:
                self._programs.pop(next(iter(self._programs)))
            self._programs[key] = program
        return program

    def plan(self, kind: str = "train") -> Plan:
        """The plan of the latest program of a kind ("train", "test", "predict")."""
        for key in reversed(self._programs):
            if key[0][0] == kind:
                return self._programs[key].plan
        raise ValueError(
            f"[plan] the model has no {kind} plan yet: call fit, evaluate or predict"
        )


def _rows(x: Any, start: int, stop: int) -> Any:
    return tree.map_structure(lambda array: array[start:stop], x)


def batch_dtype(dtype: str) -> str:
    """Dtype of a column inside the step: floats become floatx(), others stay."""
    return config.floatx() if dtype.startswith("float") else dtype
