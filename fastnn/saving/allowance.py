# SPDX-License-Identifier: Apache-2.0
"""How many bytes of weights layers may make while a model is loaded.

A config may ask for a layer of a billion units in one line. The weights of a model that
is loaded come from its file, so together they are no larger than what the file holds:
a layer that wants more is refused before memory is asked for. Nor are they drawn at
random first. A config without a file gets new weights, but of large ones none is drawn
before the whole model has been made and found small enough.
"""

from __future__ import annotations

import math
from _thread import _local
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn._allowance import states
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import SerializationError
from fastnn.saving import limits

# (variable, its zeros, what draws its value)
_Undrawn = list[tuple[Any, np.ndarray, Callable[[], Any]]]


class _State(_local):
    left: int | None = None
    place = ""
    at_once = 0  # bytes that may be drawn before the end
    # Weights that wait to be drawn; None where a file has their values.
    undrawn: _Undrawn | None = None


_state = _State()


@contextmanager
def weights_limited(total: int, place: str = "the file holds") -> Iterator[None]:
    """In the block, layers of this thread make weights of `total` bytes at most.

    And layers and metrics states of `limits.STATES`.
    """
    before = _state.left, _state.place, _state.undrawn
    states_before = states.left
    _state.left, _state.place, _state.undrawn = total, place, None
    states.left = limits.STATES
    try:
        yield
    finally:
        _state.left, _state.place, _state.undrawn = before
        states.left = states_before


@contextmanager
def weights_drawn_last() -> Iterator[None]:
    """In the block, weights are drawn while they are few; beyond, at its end, in order.

    A model of the usual size is made as ever, so a layer may look at what it has drawn.
    Weights that were assigned before the end keep what they were given.

    Raises:
        SerializationError: for weights that are more than `limits.NEW_WEIGHTS` or half
            of the machine's memory, before any but the first are drawn.
    """
    if _state.left is not None:  # a file limits them already
        yield
        return
    total = min(limits.NEW_WEIGHTS, limits.machine_memory() // 2)
    undrawn: _Undrawn = []
    with weights_limited(total, "a description without a file may have"):
        _state.undrawn = undrawn
        _state.at_once = limits.DRAWN_AT_ONCE
        yield
    for variable, blank, draw in undrawn:
        if variable._array is blank:
            variable.assign(draw())


def new_weight(
    shape: tuple[int, ...],
    dtype: str,
    what: str,
    draw: Callable[[], Any],
    make: Callable[[Any], Any],
) -> Any:
    """The variable `make(value)`, whose value is drawn now, later, or will be loaded.

    Raises:
        SerializationError: when the weights would be more than is allowed.
    """
    if _state.left is None:
        return make(draw())
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _state.left:
        raise SerializationError(
            f"{what} asks for a weight of shape {shape}, {size} bytes; {_state.place} "
            f"{_state.left} more."
        )
    _state.left -= size
    undrawn = _state.undrawn
    if undrawn is not None and size <= _state.at_once:
        _state.at_once -= size
        return make(draw())
    # A tensor, whose memory the variable takes: an array would be copied, 55 ms of the
    # 200 that 100 MB took to load. Zeros take none before they are written.
    variable = make(Tensor(np.zeros(shape, dtype)))
    if undrawn is not None:
        undrawn.append((variable, variable._array, draw))
    return variable
