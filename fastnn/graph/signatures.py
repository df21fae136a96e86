# SPDX-License-Identifier: Apache-2.0
"""What a traced function may be called with, and a word when it is traced too often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import warn_user
from fastnn.opset._dtypes import know

# Traces of one function before it says so. A trace takes milliseconds.
WARN_AT = 16


class TensorSpec:
    """Shape and dtype of a tensor (TensorFlow's name).

    Args:
        shape: sizes; None for any.
        dtype: name of the dtype.
        name: for messages.
    """

    def __init__(
        self,
        shape: Sequence[int | None],
        dtype: str = "float32",
        name: str | None = None,
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = know(dtype)
        self.name = name

    def __repr__(self) -> str:
        return (
            f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (
            (self.shape, self.dtype) == (other.shape, other.dtype)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def fits(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.shape) and all(
            want in (None, n) for want, n in zip(self.shape, shape, strict=True)
        )


def conform(
    name: str, specs: Sequence[TensorSpec], args: tuple[Any, ...], kwargs: Any
) -> tuple[Tensor, ...]:
    """The arguments as tensors of the specs.

    Raises:
        TypeError: for another number of arguments, or another dtype. ValueError: for a
            shape that does not fit.
    """
    if kwargs or len(args) != len(specs):
        raise TypeError(
            f"[function] {name} has an input_signature of {len(specs)} positional "
            f"arguments, received {len(args)} and the keywords {sorted(kwargs)}"
        )
    found = []
    for i, (spec, value) in enumerate(zip(specs, args, strict=True)):
        typed = isinstance(value, (Tensor, np.ndarray, np.generic))
        t = convert_to_tensor(value, None if typed else spec.dtype)
        if t.dtype != spec.dtype:
            raise TypeError(
                f"[function] argument {i} of {name} is {t.dtype}, its signature says "
                f"{spec}: cast it first"
            )
        if not spec.fits(t.shape):
            raise ValueError(
                f"[function] argument {i} of {name} has shape {t.shape}, its signature "
                f"says {spec}"
            )
        found.append(t)
    return tuple(found)


class Retracing:
    """Counts the traces of a function and says once when they run away."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0
        self._last: Any = None

    def note(self, key: Any) -> None:
        self._count += 1
        if self._count == WARN_AT:
            apart = _difference(self._last, key)
            warn_user(
                f"[function] {self._name} was traced {WARN_AT} times, each time for "
                f"milliseconds. The last two calls differ in {apart}. Pass numbers "
                f"that vary as tensors, and arrays in few shapes."
            )
        self._last = key


def _difference(a: Any, b: Any) -> str:
    """The first leaf of two keys that differs, for people."""
    if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            if x != y:
                inner = _difference(x, y)
                return inner if isinstance(x, tuple) else f"place {i}: {inner}"
    return f"{a!r} and {b!r}"
