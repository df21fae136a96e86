# SPDX-License-Identifier: Apache-2.0
"""Evenly and geometrically spaced numbers, powers and windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import constant, filled
from fastnn.ops._promote import integer, promote, to_float
from fastnn.ops.arrays import cast, concatenate, flip, moveaxis
from fastnn.opset._dtypes import is_float, know
from fastnn.opset._infer import broadcast_shapes


class _Steps:
    """Start and stop as floats, and the way from one to the other in [0, 1]."""

    def __init__(
        self, name: str, start: Any, stop: Any, num: Any, endpoint: bool, dtype: Any
    ) -> None:
        low, high = promote(start, stop)
        self.low, self.high = to_float(low), to_float(high)
        self.count = integer(name, "num", num)
        if self.count < 0:
            raise ValueError(f"[{name}] cannot make {self.count} numbers")
        self.own = self.low.dtype
        self.dtype = dtype or self.own
        self.steps = max(self.count - 1 if endpoint else self.count, 1)
        self.known = not (isinstance(start, Tensor) or isinstance(stop, Tensor))
        shape = broadcast_shapes(name, self.low.shape, self.high.shape)
        wide = (self.count,) + (1,) * len(shape)

        def way() -> np.ndarray:
            return (np.arange(self.count) / self.steps).reshape(wide)

        self.way = constant(wide, self.own, way)
        self.back = constant(wide, self.own, lambda: 1 - way())

    def made(self, y: Tensor, axis: int) -> Tensor:
        """Numbers along the first axis in their dtype and place."""
        if not is_float(self.dtype):
            y = raw.floor(y)
        return moveaxis(cast(y, self.dtype), 0, axis)

    def of_numpy(self, values: np.ndarray) -> Tensor:
        if not is_float(self.dtype):
            values = np.floor(values)
        return Tensor(np.ascontiguousarray(values.astype(know(self.dtype))))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: str | None = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced numbers from start to stop along a new axis.

    Without `endpoint`, stop is the one that would follow. `retstep` gives the distance
    too. Starts and stops may be arrays that broadcast; of tensors there are gradients.
    """
    s = _Steps("linspace", start, stop, num, endpoint, dtype)
    step = raw.divide(raw.subtract(s.high, s.low), float(s.steps))
    if s.known:
        values = np.linspace(start, stop, s.count, endpoint=endpoint, axis=axis)
        y = s.of_numpy(values)
    else:
        # Weighted so, both ends are exact.
        parts = raw.multiply(s.low, s.back), raw.multiply(s.high, s.way)
        y = s.made(raw.add(*parts), axis)
    return (y, step) if retstep else y


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: str | None = None,
    axis: int = 0,
) -> Tensor:
    """base to the powers `linspace(start, stop)`."""
    s = _Steps("logspace", start, stop, num, endpoint, dtype)
    if s.known and not isinstance(base, Tensor):
        return s.of_numpy(
            np.logspace(start, stop, s.count, endpoint=endpoint, base=base, axis=axis)
        )
    powers = linspace(s.low, s.high, s.count, endpoint)
    return s.made(raw.power(cast(convert_to_tensor(base), s.own), powers), axis)


def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: str | None = None,
    axis: int = 0,
) -> Tensor:
    """`num` numbers from start to stop of which each is the same multiple of the last.

    Raises:
        ValueError: for a start or stop of 0.
    """
    s = _Steps("geomspace", start, stop, num, endpoint, dtype)
    if s.known:
        if not (np.all(start) and np.all(stop)):
            raise ValueError(
                f"[geomspace] start and stop must not be 0, received {start} and {stop}"
            )
        return s.of_numpy(
            np.geomspace(start, stop, s.count, endpoint=endpoint, axis=axis)
        )
    ratio = raw.divide(s.high, s.low)
    return s.made(raw.multiply(s.low, raw.power(ratio, s.way)), axis)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector as columns: x^(N-1), ..., x, 1; reversed when `increasing`.

    Raises:
        ShapeError: for anything but a vector.
    """
    t = convert_to_tensor(x)
    if t.ndim != 1:
        raise ShapeError(f"[vander] needs a vector, received shape {t.shape}")
    n = t.size if N is None else integer("vander", "N", N)
    if n < 0:
        raise ValueError(f"[vander] cannot make {n} columns")
    wide = integers.cast(t, integers.wide_dtype("cumprod", t.dtype))
    first = filled((t.size, min(n, 1)), 1, wide.dtype)
    column = raw.reshape(wide, (t.size, 1))
    rest = raw.broadcast_to(column, (t.size, max(n - 1, 0)))
    y = raw.cumprod(concatenate([first, rest], 1), 1, False, False)
    y = integers.cast(y, t.dtype)
    return y if increasing else flip(y, 1)


# ---- windows -----------------------------------------------------------------------


def i0(x: Any) -> Tensor:
    """Modified Bessel function of the first kind and order 0."""
    return raw.bessel_i(wide_float(x), 0)


def wide_float(x: Any) -> Tensor:
    """x as it is if it is floating, int64 as float64, else cast to floatx()."""
    t = convert_to_tensor(x)
    return raw.cast(t, "float64") if t.dtype == "int64" else to_float(t)


def _points(name: str, x: Any) -> int:
    number = x._concrete(name) if isinstance(x, Tensor) else np.asarray(x)
    if number.dtype.kind not in "iu" or number.size != 1:
        raise ValueError(
            f"[{name}] needs the number of points, one integer; received {x!r}"
        )
    return int(number.reshape(()))


def _window(name: str, x: Any) -> Tensor:
    return Tensor(getattr(np, name)(_points(name, x)).astype(know(config.floatx())))


def bartlett(x: Any) -> Tensor:
    """Triangular window of x points: 1 - |2 n / (x - 1) - 1|, in floatx()."""
    return _window("bartlett", x)


def blackman(x: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / (x - 1)) + 0.08 cos(4 pi n / (x - 1)), in floatx()."""
    return _window("blackman", x)


def hamming(x: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / (x - 1)), x points in floatx()."""
    return _window("hamming", x)


def hanning(x: Any) -> Tensor:
    """0.5 - 0.5 cos(2 pi n / (x - 1)), x points in floatx()."""
    return _window("hanning", x)


def kaiser(x: Any, beta: Any) -> Tensor:
    """i0(beta sqrt(1 - (2 n / (x - 1) - 1)^2)) / i0(beta), x points in floatx()."""
    n = _points("kaiser", x)
    if not isinstance(beta, Tensor):
        return Tensor(np.kaiser(n, beta).astype(know(config.floatx())))
    way = np.linspace(-1, 1, n) if n > 1 else np.zeros(n)
    b = to_float(beta)
    inside = raw.multiply(b, Tensor(np.sqrt(1 - way * way).astype(b.dtype)))
    return cast(raw.divide(i0(inside), i0(b)), config.floatx())


__all__ = [
    *"bartlett blackman geomspace hamming hanning i0 kaiser linspace".split(),
    *"logspace vander".split(),
]
