# SPDX-License-Identifier: Apache-2.0
"""Discrete Fourier transforms, by NumPy's pocketfft; complex numbers are pairs.

Host ops: they have no kernel; `ref` is what runs. None of them scales, so that each is
the transpose of another one, which is its gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float, check_same_dtype
from fastnn.opset._matrices import host_op
from fastnn.opset._opdef import Attr, Sample, Spec, Tol
from fastnn.opset._samples import uniform

TOL = Tol(2e-6, 4e-15, 2e-5)
PAIR = "real imag"


def _check(name: str, specs: list[Spec], axes: tuple[int, ...]) -> None:
    check_float(name, check_same_dtype(name, [s.dtype for s in specs]))
    shape = specs[0].shape
    if len(shape) <= max(axes) or any(shape[a] == 0 for a in axes):
        raise ShapeError(f"[{name}] needs elements on axes {axes}, received {shape}")
    if specs[-1].shape != shape:
        raise ShapeError(
            f"[{name}] real and imaginary parts need one shape, received {shape} and "
            f"{specs[-1].shape}"
        )


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (max(len(shape) - 1, 0),)


def _complex(real: Any, imag: Any) -> Any:
    y = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    y.real, y.imag = real, imag
    return y


def _pair(y: Any, dtype: Any) -> tuple[Any, Any]:
    return y.real.astype(dtype), y.imag.astype(dtype)


def _whole(c: Any, dr: Any, di: Any) -> tuple[Any, Any]:
    """Both cotangents; zeros for the part that nothing depends on."""
    known = di if dr is None else dr
    zero = c.op.broadcast_to(c.constant(np.zeros((), known.dtype)), known.shape)
    return zero if dr is None else dr, zero if di is None else di


# ---- complex to complex ------------------------------------------------------------


def _fft_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check("fft", specs, attrs[0])
    return [specs[0]] * 2


def _fft(real: Any, imag: Any, axes: tuple[int, ...], inverse: bool) -> Any:
    x = _complex(real, imag)
    y = np.fft.ifftn(x, axes=axes, norm="forward") if inverse else None
    return _pair(np.fft.fftn(x, axes=axes) if y is None else y, real.dtype)


def _fft_samples(rng: Any, dtype: str) -> Any:
    cases: tuple = (((1,), (0,)), ((7,), (0,)), ((3, 8), (1,)), ((2, 4, 5), (1, 2)))
    for shape, axes in (*cases, ((0, 3), (1,))):
        for inverse in (False, True):
            parts = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
            yield Sample(tuple(parts), (axes, inverse))


host_op(
    "fft",
    _fft,
    _fft_infer,
    _fft_samples,
    inputs=PAIR,
    outputs="y_real y_imag",
    attrs=(Attr("axes", "axes"), Attr("inverse", "bool", False)),
    vjp=lambda c, dr, di: c.op.fft(*_whole(c, dr, di), c.axes, not c.inverse),
    tol=TOL,
    doc="y_k = sum over j of x_j e^(-2 pi i j k / n) along axes, +2 when inverse",
)

# ---- real to half of the spectrum, and back ----------------------------------------


def _ends(c: Any, n: int, at_ends: float, inside: float, dtype: str) -> Any:
    """One factor per frequency: 0 and n / 2 are their own mirror images."""
    factor = np.full(n // 2 + 1, inside, dtype)
    factor[0] = at_ends
    if n % 2 == 0:
        factor[-1] = at_ends
    return c.constant(factor)


def _rfft_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check("rfft", specs, _last(specs[0].shape))
    *batch, n = specs[0].shape
    return [Spec((*batch, n // 2 + 1), specs[0].dtype)] * 2


def _rfft_vjp(c: Any, dr: Any, di: Any) -> Any:
    n = c.shape_of("x")[-1]
    dr, di = _whole(c, dr, di)
    half = _ends(c, n, 1.0, 0.5, dr.dtype)
    return c.op.irfft(c.op.multiply(dr, half), c.op.multiply(di, half), n)


def _rfft_samples(rng: Any, dtype: str) -> Any:
    for shape in ((1,), (2,), (7,), (3, 8), (2, 3, 5), (0, 4)):
        yield Sample((uniform(rng, shape, dtype, -2, 2),))


host_op(
    "rfft",
    lambda x: _pair(np.fft.rfft(x), x.dtype),
    _rfft_infer,
    _rfft_samples,
    inputs="x",
    outputs=PAIR,
    vjp=_rfft_vjp,
    tol=TOL,
    doc="the first n // 2 + 1 frequencies of real numbers along the last axis",
)


def _irfft_infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check("irfft", specs, _last(specs[0].shape))
    *batch, m = specs[0].shape
    n = attrs[0]
    if n < 1 or m != n // 2 + 1:
        raise ShapeError(
            f"[irfft] {n} numbers come from {n // 2 + 1} frequencies, received {m}"
        )
    return [Spec((*batch, n), specs[0].dtype)]


def _irfft_vjp(c: Any, dy: Any) -> Any:
    twice = _ends(c, c.n, 1.0, 2.0, dy.dtype)
    return tuple(c.op.multiply(part, twice) for part in c.op.rfft(dy))


def _irfft_samples(rng: Any, dtype: str) -> Any:
    for batch, n in (((), 1), ((), 2), ((), 7), ((3,), 8), ((2, 3), 5), ((0,), 4)):
        shape = (*batch, n // 2 + 1)
        parts = (uniform(rng, shape, dtype, -2, 2) for _ in range(2))
        yield Sample(tuple(parts), (n,))


host_op(
    "irfft",
    lambda real, imag, n: np.fft.irfft(_complex(real, imag), n, norm="forward").astype(
        real.dtype
    ),
    _irfft_infer,
    _irfft_samples,
    inputs=PAIR,
    attrs=(Attr("n", "int"),),
    vjp=_irfft_vjp,
    tol=TOL,
    doc="n real numbers from the first n // 2 + 1 of their frequencies, times n",
)
