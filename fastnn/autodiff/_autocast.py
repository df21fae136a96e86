# SPDX-License-Identifier: Apache-2.0
"""Variables in calls of layers with mixed precision: read in the compute dtype.

The dtype is `state().autocast` of the thread, which `Layer.__call__` sets. The engine
asks `read` for the inputs of every op while it is set; `Variable.dtype` is what a
variable is to be read in.
"""

from __future__ import annotations

from typing import Any

from fastnn.opset._dtypes import is_float


def dtype_of(variable: Any) -> str:
    """Dtype that a variable is read in: its own, but in such calls."""
    from fastnn.autodiff._tape import state

    own: str = variable._dtype
    cast = state().autocast
    return own if cast is None or not variable.autocast or not is_float(own) else cast


def as_read(variable: Any, value: Any) -> Any:
    """The value of a variable in the dtype that it is read in."""
    from fastnn.autodiff import raw

    dtype = dtype_of(variable)
    return value if dtype == value.dtype else raw.cast(value, dtype)


def read(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Inputs of an op, variables in the dtype they are read in.

    A tensor of another float dtype beside them was made so on purpose (statistics in
    float32): variables keep theirs.
    """
    from fastnn.autodiff import raw
    from fastnn.autodiff._tape import state

    dtype = state().autocast
    wanted = [t.dtype if t._is_variable else t._dtype for t in inputs]
    foreign = any(is_float(d) and d != dtype for d in wanted)
    pairs = list(zip(inputs, wanted, strict=True))
    if foreign or all(t._dtype == d for t, d in pairs):
        return inputs
    state().autocast = None
    try:
        return tuple([t if t._dtype == d else raw.cast(t, d) for t, d in pairs])
    finally:
        state().autocast = dtype
