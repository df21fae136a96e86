# SPDX-License-Identifier: Apache-2.0
"""How many bytes of weights layers may make while a model is loaded.

A config may ask for a layer of a billion units in one line. The weights of a model that
is loaded come from its file, so together they are no larger than what the file holds:
a layer that wants more is refused before memory is asked for. Nor are they drawn at
random first.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from fastnn.autodiff.tensor import Tensor
from fastnn.errors import SerializationError


class _State(threading.local):
    left: int | None = None


_state = _State()


@contextmanager
def weights_limited(total: int) -> Iterator[None]:
    """In the block, layers of this thread make weights of `total` bytes at most."""
    before, _state.left = _state.left, total
    try:
        yield
    finally:
        _state.left = before


def placeholder(shape: tuple[int, ...], dtype: str, what: str) -> Tensor | None:
    """Zeros for a weight that will be loaded; None outside of `weights_limited`.

    Raises:
        SerializationError: when the weights would be more than the file holds.
    """
    if _state.left is None:
        return None
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > _state.left:
        raise SerializationError(
            f"{what} asks for a weight of shape {shape}, {size} bytes; the file holds "
            f"{_state.left} more."
        )
    _state.left -= size
    # A tensor, whose memory the variable takes: an array would be copied, 55 ms of the
    # 200 that 100 MB took to load.
    return Tensor(np.zeros(shape, dtype))
