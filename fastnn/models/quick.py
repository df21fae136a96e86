# SPDX-License-Identifier: Apache-2.0
"""The shortest path for single batches like one that ran before.

The long way looks at data from all sides: what it is, whether it fits, which program
runs it, in which structure the results come back. A batch of the same shapes and dtypes
takes the same way, so what was found is kept in `StepRunner.ready` for as long as
nothing that it follows from has changed (`RunnerCache.current`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import PlanError
from fastnn.models.results import as_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.graph.plan import Plan
    from fastnn.models.steps import Program

MAX_SIGNATURES = 64
MAX_ROWS, MAX_NS = 32, 1e6  # above, what a call costs around its kernels is nothing


def signature(kind: str, *arrays: Any) -> Any:
    """A key for plain arrays (None is no array); None for anything else."""
    key: list[Any] = [kind, config.floatx(), config.epsilon(), config.where()]
    for array in arrays:
        if type(array) is np.ndarray and array.flags.c_contiguous:
            key += array.shape, array.dtype
        elif array is None:
            key.append(None)
        else:
            return None
    return tuple(key)


class Predicting:
    """Batches of one array that give one array.

    Args:
        program: what ran the batch.
        latest: the programs that ran last, by kind.

    Attributes:
        rows_apart: it may stand for several smaller batches.
    """

    def __init__(self, program: Program, latest: dict[str, Program]) -> None:
        self._plan = program.plan
        self._program = program
        self._latest = latest
        self.rows_apart = False

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self._latest["predict"] = self._program
        outputs: list[np.ndarray] = self._plan.run_on([x])
        return outputs[0]

    @staticmethod
    def fits(program: Program, x: Any, arrays: list[np.ndarray]) -> bool:
        """Whether the program got just what the caller has, and returns one array."""
        return (
            len(arrays) == 1
            and arrays[0] is x
            and isinstance(program.result, Tensor)
            and program.plan.may_run_on
        )


class Stepping:
    """Batches (x, y, sample_weight) of single arrays, for training or tests.

    Args:
        kind: "train" or "test".
        latest: the programs that ran last, by kind; this one just did.
        arrays: what it was given.
        order: names of the results in the order they are returned in.
        model: the shapes of its outputs are those of targets; its metrics count each
            batch alone.
    """

    def __init__(
        self,
        kind: str,
        latest: dict[str, Program],
        arrays: tuple[Any, ...],
        order: list[str],
        model: Any,
    ) -> None:
        program = latest[kind]
        self._kind, self._program, self._latest = kind, program, latest
        self._plan = program.plan
        self._names = sorted(program.result)  # as tree.flatten goes through a dict
        self._shapes = [None if a is None else a.shape for a in arrays]
        self._outputs = model._output_shapes(arrays[0])
        self._metrics = model.metrics
        self.order = order

    def forget(self, model: Any) -> None:
        """`model.reset_metrics()`, which looks for the metrics in every layer: 27 of
        49 us of a batch of one Dense, BatchNormalization and ELU, 209 of 272 with 20.
        """
        from fastnn.models.trainer import Trainer

        if type(model).reset_metrics is Trainer.reset_metrics:
            for metric in self._metrics:
                metric.reset_state()
        else:
            model.reset_metrics()

    def __call__(self, model: Any, given: Any, where: str) -> dict[str, float]:
        """Results by name, sorted."""
        self._latest[self._kind] = self._program
        arrays = []
        for array, shape in zip(given, self._shapes, strict=True):
            if array is not None:
                arrays.append(array if array.shape == shape else array.reshape(shape))
        if given[1] is not None and model._compile_loss is not None:
            model._check_y(arrays[1], self._outputs, where)
        values = self._plan.run_on(arrays)
        return {n: as_log(v) for n, v in zip(self._names, values, strict=True)}

    @staticmethod
    def fits(program: Program | None, given: Any, arrays: Any) -> bool:
        """Whether only shapes were changed on the way to the program."""
        from fastnn.models.steps import batch_dtype

        result = None if program is None else program.result
        if program is None or not isinstance(result, dict):
            return False
        if not all(isinstance(value, Tensor) for value in result.values()):
            return False
        if not program.plan.may_run_on:
            return False
        return all(
            a is b is None
            or (
                type(a) is type(b) is np.ndarray
                and a.ctypes.data == b.ctypes.data
                and a.size == b.size
                and a.dtype == b.dtype == batch_dtype(b.dtype.name)
            )
            for a, b in zip(given, arrays, strict=True)
        )


class Calling:
    """Short ways for `model(x)`: a plan in the place of layers that run one by one.

    Only where nobody can tell the difference: layers and functions of fastnn, no
    losses of activities, small batches, and no tape or trace that wants every op.

    Args:
        make: `make(x)` traces the call for such a batch; raises what tracing raises.
        model: the model.
    """

    def __init__(self, make: Callable[[np.ndarray], Program], model: Any) -> None:
        self._make = make
        self._plain = all(_is_plain(layer) for layer in model._all_layers())
        self._seen: set[Any] = set()
        self._plans: dict[Any, Plan | None] = {}

    def __call__(self, x: np.ndarray) -> np.ndarray | None:
        """The outputs, or None for the long way."""
        if config.backend() != "cpu":
            return None
        key = signature("call", x)
        plan = self._plans.get(key)
        if plan is not None:
            outputs: list[np.ndarray] = plan.run_on([x])
            return outputs[0]
        if self._plain and key is not None and key not in self._plans:
            self._prepare(key, x)
        return None

    def _prepare(self, key: Any, x: np.ndarray) -> None:
        """Make a plan for what is seen the second time."""
        if x.shape[0] > MAX_ROWS or len(self._plans) >= MAX_SIGNATURES:
            return
        if key not in self._seen:
            self._seen = {key, *list(self._seen)[: MAX_SIGNATURES - 1]}
            return
        self._plans[key] = None
        try:
            program = self._make(x)
        except PlanError:
            return
        plan, result = program.plan, program.result
        if (
            isinstance(result, Tensor)
            and result._keras_mask is None  # which arrays do not carry
            and plan.may_run_on
        ):
            self._plans[key] = plan if plan.cost < MAX_NS else None


def _is_plain(layer: Any) -> bool:
    """Whether calling the layer is only computing."""
    own = type(layer).__module__.startswith("fastnn.")
    return (
        own
        and layer.activity_regularizer is None
        and all(
            getattr(value, "__module__", "fastnn.").startswith("fastnn.")
            for name, value in vars(layer).items()
            if callable(value) and name not in layer._unplanned
        )
    )


class Ready:
    """What has been found, by signature."""

    def __init__(self) -> None:
        self._steps: dict[Any, Any] = {}

    def get(self, key: Any) -> Any:
        return self._steps.get(key)

    def put(self, key: Any, step: Any) -> None:
        if len(self._steps) >= MAX_SIGNATURES:
            self._steps.pop(next(iter(self._steps)))
        self._steps[key] = step

    def forget(self, kind: str) -> None:
        """Drop what belongs to a kind: "train", "test" or "predict"."""
        for key in [key for key in self._steps if key[0] == kind]:
            del self._steps[key]
