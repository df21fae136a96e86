# SPDX-License-Identifier: Apache-2.0
"""Functions of fastnn.ops that are made of ops, one row each; see ops/test_composites.

A row names the function, its oracle in NumPy or SciPy, and makers of random arguments
and options. The tests are generated from the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

Arrays = list[np.ndarray]
FLOATS = ("float32", "float64")
NUMBERS = (*FLOATS, "int32")


def _spread(function: Any, values: Any, options: dict) -> Any:
    return function(*values, **options)


def packed(function: Any, values: Any, options: dict) -> Any:
    """One argument, the list of arrays."""
    return function(list(values), **options)


def weighted(function: Any, values: Any, options: dict) -> Any:
    x, weights = values
    return function(x, weights=weights, **options)


class Case(NamedTuple):
    """One function and what it is compared with.

    Attributes:
        oracle: takes the arrays and options of the function, in float64 for floats.
        make: `make(rng, dtype)` gives the arrays, of random shapes.
        options: `options(rng, arrays)` gives keyword arguments.
        dtypes: of the arrays.
        of_ints: dtype of the result for int32; "" is int32 too.
        call: how a function is called with the arrays and options.
        slopes: whether there are gradients to check.
        tol: relative and absolute error in units of the dtype's precision.
    """

    name: str
    oracle: Callable[..., Any]
    make: Callable[..., Arrays]
    options: Callable[..., dict[str, Any]] = lambda rng, arrays: {}
    dtypes: tuple[str, ...] = NUMBERS
    of_ints: str = ""
    call: Callable[..., Any] = _spread
    slopes: bool = True
    tol: float = 64.0


# ---- makers ------------------------------------------------------------------------


def values(rng: Any, shape: Any, dtype: str, low: float = -3, high: float = 3) -> Any:
    if dtype.startswith("int"):
        return rng.integers(int(low), int(high) + 1, shape).astype(dtype)
    return np.asarray(rng.uniform(low, high, shape), dtype)


def sizes(rng: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    return tuple(int(n) for n in rng.choice([least, least + 1, 3, 4, 7], rank))


def tensor(
    low: float = -3,
    high: float = 3,
    *,
    ranks: tuple[int, ...] = (1, 2, 3),
    least: int = 1,
    nan: float = 0.0,
) -> Any:
    def make(rng: Any, dtype: str) -> Arrays:
        x = values(rng, sizes(rng, int(rng.choice(ranks)), least), dtype, low, high)
        if nan and dtype in FLOATS:
            x = np.where(rng.random(x.shape) < nan, np.nan, x).astype(dtype)
        return [x]

    return make


def several(
    count: int, low: float = -3, high: float = 3, *, ranks: Any = (1, 2, 3)
) -> Any:
    """Tensors of one shape."""

    def make(rng: Any, dtype: str) -> Arrays:
        shape = sizes(rng, int(rng.choice(ranks)))
        return [values(rng, shape, dtype, low, high) for _ in range(count)]

    return make


def one_axis(rng: Any, arrays: Arrays) -> dict[str, Any]:
    rank = arrays[0].ndim
    return {"axis": int(rng.integers(-rank, rank))}


def axis_or_none(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return {"axis": None} if rng.random() < 0.3 else one_axis(rng, arrays)


def reduction(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return axis_or_none(rng, arrays) | {"keepdims": bool(rng.random() < 0.5)}


def _sections(axis: int) -> Any:
    def options(rng: Any, arrays: Arrays) -> dict[str, Any]:
        n = arrays[0].shape[min(axis, arrays[0].ndim - 1)]
        cuts = sorted(int(i) for i in rng.integers(0, n + 1, 2))
        return {"indices_or_sections": n if rng.random() < 0.5 else cuts}

    return options


def _array_split(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return one_axis(rng, arrays) | {"indices_or_sections": int(rng.integers(1, 5))}


def _with_weights(rng: Any, dtype: str) -> Arrays:
    x = values(rng, sizes(rng, 2), dtype)
    return [x, values(rng, x.shape, dtype, 1, 4)]


def _trapezoid(rng: Any, dtype: str) -> Arrays:
    y = values(rng, sizes(rng, 2), dtype)
    return [y, np.sort(values(rng, y.shape[-1:], dtype, -5, 5))]


def _vectors(rng: Any, dtype: str) -> Arrays:
    return [values(rng, (int(n),), dtype) for n in rng.integers(1, 12, 2)]


def _points(rng: Any, dtype: str) -> Arrays:
    m, n, d = sizes(rng, 3)
    lead = sizes(rng, int(rng.integers(0, 2)))
    return [values(rng, (*lead, m, d), dtype), values(rng, (*lead, n, d), dtype)]


def _gamma(rng: Any, dtype: str) -> Arrays:
    a, x = several(2, 1, 6)(rng, dtype)
    return [a, x]


def _spectra(rng: Any, dtype: str) -> Arrays:
    """Both parts of the short-time spectrum of real numbers."""
    shape = (*sizes(rng, int(rng.integers(0, 2))), int(rng.integers(2, 5)), 5)
    return [values(rng, shape, dtype) for _ in range(2)]


# ---- oracles -----------------------------------------------------------------------


def _parts(z: Any) -> Any:
    return np.real(z), np.imag(z)


def joined(pair: Any) -> Any:
    """Complex numbers; `real + 1j * imag` would make NaN of an infinite part."""
    z = np.empty(pair[0].shape, complex)
    z.real, z.imag = pair
    return z


def _nan_arg(name: str) -> Any:
    def oracle(x: Any, axis: Any, keepdims: bool) -> Any:
        none = np.isnan(x).all(axis, keepdims=keepdims)
        fill = -np.inf if name == "argmax" else np.inf
        filled = np.where(np.isnan(x), fill, x)
        return np.where(none, -1, getattr(np, name)(filled, axis, keepdims=keepdims))

    return oracle


def _scipy(module: str, name: str) -> Any:
    def oracle(*args: Any, **kwargs: Any) -> Any:
        return getattr(pytest.importorskip(f"scipy.{module}"), name)(*args, **kwargs)

    return oracle


def _distances(x: Any, y: Any) -> Any:
    spread = x[..., :, None, :] - y[..., None, :, :]
    return np.sqrt((spread**2).sum(-1))


def windows(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    count = max((x.shape[-1] - sequence_length + sequence_stride) // sequence_stride, 0)
    rows = [
        x[..., i * sequence_stride : i * sequence_stride + sequence_length]
        for i in range(count)
    ]
    return np.stack(rows, -2) if rows else np.zeros((*x.shape[:-1], 0, sequence_length))


STFT: dict[str, Any] = {"sequence_length": 6, "sequence_stride": 3, "fft_length": 8}
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(6) / 6)
CENTRED_HANN = np.pad(HANN, (1, 1))


def stft(x: Any, center: bool, **_: Any) -> Any:
    if center:
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(4, 4)], "reflect")
    return _parts(np.fft.rfft(windows(x, 8, 3) * CENTRED_HANN))


def _overlap(frames: Any) -> Any:
    count = frames.shape[-2]
    y = np.zeros((*frames.shape[:-2], 8 + 3 * (count - 1)))
    for i in range(count):
        y[..., 3 * i : 3 * i + 8] += frames[..., i, :]
    return y


def istft(pair: Any, center: bool, **_: Any) -> Any:
    frames = np.fft.irfft(joined(pair), 8)
    weight = _overlap(np.broadcast_to(CENTRED_HANN**2, frames.shape))
    y = _overlap(frames * CENTRED_HANN) / np.where(weight > 1e-10, weight, 1)
    return y[..., 4:-4] if center else y


def _centred(rng: Any, arrays: Arrays) -> dict[str, Any]:
    return STFT | {"center": bool(rng.random() < 0.5)}


# ---- rows --------------------------------------------------------------------------

NAN = tensor(nan=0.3)
PAIR = several(2)

CASES = [
    *(Case(n, getattr(np, n), PAIR, call=packed) for n in ("vstack", "dstack")),
    Case("hstack", np.hstack, several(3), call=packed),
    Case("column_stack", np.column_stack, several(2, ranks=(1, 2)), call=packed),
    Case("hsplit", np.hsplit, tensor(), _sections(1)),
    Case("vsplit", np.vsplit, tensor(ranks=(2, 3)), _sections(0)),
    Case("dsplit", np.dsplit, tensor(ranks=(3,)), _sections(2)),
    Case("array_split", np.array_split, tensor(), _array_split),
    Case("unstack", lambda x, axis: list(np.moveaxis(x, axis, 0)), tensor(), one_axis),
    Case("array", np.array, tensor()),
    *(
        Case(f"nan{n}", getattr(np, f"nan{n}"), NAN, reduction, of_ints=of_ints)
        for n, of_ints in (
            *(("sum", ""), ("prod", ""), ("max", ""), ("min", "")),
            *(("mean", "float32"), ("var", "float32"), ("std", "float32")),
        )
    ),
    *(
        Case(f"nan{n}", _nan_arg(n), NAN, reduction, of_ints="int32", slopes=False)
        for n in ("argmax", "argmin")
    ),
    Case("ptp", np.ptp, tensor(), reduction),
    Case("average", np.average, tensor(), axis_or_none, of_ints="float32"),
    Case(
        "average",
        np.average,
        _with_weights,
        axis_or_none,
        of_ints="float32",
        call=weighted,
    ),
    Case("diff", np.diff, tensor(), one_axis),
    Case("diff", np.diff, tensor(), lambda rng, arrays: {"n": int(rng.integers(0, 4))}),
    Case("trapezoid", np.trapezoid, tensor(), one_axis, of_ints="float32"),
    Case("trapezoid", np.trapezoid, _trapezoid, of_ints="float32"),
    Case("corrcoef", np.corrcoef, tensor(ranks=(2,), least=3), dtypes=FLOATS),
    *(
        Case(
            "correlate",
            np.correlate,
            _vectors,
            lambda rng, arrays, mode=mode: {"mode": mode},
            of_ints="float32",
        )
        for mode in ("valid", "same", "full")
    ),
    Case("cdist", _distances, _points, of_ints="float32"),
    Case(
        "vander",
        np.vander,
        tensor(-2, 2, ranks=(1,)),
        lambda rng, arrays: {
            "N": int(rng.integers(0, 6)),
            "increasing": bool(rng.random() < 0.5),
        },
    ),
    Case("i0", np.i0, tensor(), of_ints="float32"),
    Case("gammainc", _scipy("special", "gammainc"), _gamma, of_ints="float32"),
    *(
        Case(
            n,
            lambda z, n=n: _parts(getattr(np.fft, n)(joined(z))),
            several(2, ranks=(2, 3)),
            call=packed,
            of_ints="float32",
        )
        for n in ("fft", "fft2", "ifft2")
    ),
    Case(
        "rfft",
        lambda x, fft_length: _parts(np.fft.rfft(x, fft_length)),
        tensor(),
        lambda rng, arrays: {"fft_length": int(rng.integers(1, 9))},
        of_ints="float32",
    ),
    Case(
        "irfft",
        lambda z, fft_length: np.fft.irfft(joined(z), fft_length),
        several(2),
        lambda rng, arrays: {"fft_length": int(rng.integers(1, 9))},
        call=packed,
        of_ints="float32",
    ),
    Case(
        "extract_sequences",
        windows,
        tensor(),
        lambda rng, arrays: {
            "sequence_length": int(rng.integers(1, 4)),
            "sequence_stride": int(rng.integers(1, 4)),
        },
    ),
    Case("stft", stft, tensor(least=9), _centred, dtypes=FLOATS),
    Case("istft", istft, _spectra, _centred, dtypes=FLOATS, call=packed, tol=512),
    Case(
        "polar",
        lambda r, phi: (r * np.cos(phi), r * np.sin(phi)),
        PAIR,
        of_ints="float32",
    ),
    Case("view_as_real", lambda z: np.stack(z, -1), PAIR, dtypes=FLOATS, call=packed),
]
