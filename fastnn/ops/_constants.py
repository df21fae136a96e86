# SPDX-License-Identifier: Apache-2.0
"""Arrays that ops compute with and that grow with their arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.autodiff._tape import state
from fastnn.autodiff.scopes import in_symbolic_scope
from fastnn.autodiff.tensor import Tensor
from fastnn.opset import Spec

_SMALL = 1 << 16  # elements that are made at once, as a function may look at them


def constant(shape: tuple[int, ...], dtype: Any, make: Callable[[], Any]) -> Tensor:
    """The tensor of `make()`, an array of this shape and dtype.

    Where only shapes and dtypes are looked for, a large one has no values and takes no
    memory: a file of a kilobyte may describe a mask of a terabyte.
    """
    name, tracer = np.dtype(dtype).name, state().tracer
    count = 1
    for n in shape:
        count *= n
    if count > _SMALL and tracer is not None and in_symbolic_scope():
        return tracer.tensor(tracer.graph.add_input(Spec(tuple(shape), name)))
    return Tensor(np.asarray(make(), dtype, order="C"))


def filled(shape: tuple[int, ...], value: Any, dtype: Any) -> Tensor:
    """The same of one number."""
    return constant(shape, dtype, lambda: np.full(shape, value, dtype))
