# SPDX-License-Identifier: Apache-2.0
"""Python on the values of tensors, in the middle of a traced function."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.scopes import init_scope
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.graph.control import made_op, run_made
from fastnn.opset import Spec
from fastnn.opset._dtypes import is_float


def call_python(name: str, func: Any, inputs: list[Tensor]) -> list[Tensor]:
    """What `func` returns for the values that the tensors will have.

    It is called at every run of the function being traced in which its results are
    used, and once now, on zeros, for their shapes and dtypes.

    Args:
        name: for errors.
        func: tensors with values -> a list of tensors, of the same specs every time.
        inputs: its arguments.

    Raises:
        ShapeError: at a run, where shapes or dtypes differ from those for zeros.
    """
    with init_scope():
        zeros = [Tensor(np.zeros(t.shape, t.dtype)) for t in inputs]
        specs = [Spec(t.shape, t.dtype) for t in func(*zeros)]

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        with init_scope():
            found = func(*map(Tensor, arrays))
        got = [Spec(t.shape, t.dtype) for t in found]
        if got != specs:
            raise ShapeError(
                f"[{name}] the function returned {got}, but {specs} for zeros: it must "
                f"give the same shapes and dtypes every time"
            )
        return [t._array for t in found]

    def vjp(c: Any, *dys: Tensor | None) -> tuple[Tensor | None, ...]:
        given = [getattr(c, x) for x in op.inputs]
        seeds = [
            Tensor(np.zeros(s.shape, s.dtype)) if dy is None else dy
            for s, dy in zip(specs, dys, strict=True)
        ]
        wanted = [i for i, t in enumerate(given) if is_float(t.dtype)]
        slopes = call_python(name, _slopes(func, len(given), wanted), [*given, *seeds])
        found = dict(zip(wanted, slopes, strict=True))
        return tuple(found.get(i) for i in range(len(given)))

    op = made_op(name, len(inputs), specs, run, vjp)
    return run_made(op, inputs)


def _slopes(func: Any, count: int, wanted: list[int]) -> Any:
    """The gradients of `func` by its arguments `wanted`, zeros where it has none."""

    def slopes(*values: Tensor) -> list[Tensor]:
        xs, seeds = values[:count], list(values[count:])
        sources = [xs[i] for i in wanted]
        with GradientTape() as tape:
            tape.watch(sources)
            targets = func(*xs)
        found: list[Tensor] = tape.gradient(
            targets, sources, seeds, unconnected_gradients="zero"
        )
        return found

    return slopes
