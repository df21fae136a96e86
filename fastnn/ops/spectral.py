# SPDX-License-Identifier: Apache-2.0
"""Fourier transforms. A complex tensor is a pair (real, imag) of float tensors.

They run on the host, in NumPy's pocketfft, on every backend: a traced function that
contains one runs node by node. Gradients are transforms themselves.
"""

from __future__ import annotations

import math as _math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.autodiff import integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError, ShapeError
from fastnn.ops._constants import constant
from fastnn.ops._promote import integer, promote, to_float
from fastnn.ops.arrays import stack, zeros_like
from fastnn.ops.indexing import take
from fastnn.ops.padding import pad
from fastnn.opset._dtypes import HALVES, is_float


def _pair(name: str, x: Any) -> tuple[Tensor, Tensor]:
    """Both parts as floats of one dtype.

    Raises:
        ValueError: for anything but a pair of one shape.
    """
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(
            f"[{name}] x must be a pair (real, imag) of tensors, received {x!r}"
        )
    real, imag = promote(*x)
    if real.shape != imag.shape:
        raise ShapeError(
            f"[{name}] real and imaginary parts need one shape, received {real.shape} "
            f"and {imag.shape}"
        )
    return to_float(real), to_float(imag)


def _run(transform: Callable[..., Any], *parts: Tensor) -> Any:
    """transform of the parts; 16-bit floats through float32."""
    own = parts[0].dtype
    if own not in HALVES:
        return transform(*parts)
    y = transform(*(raw.cast(t, "float32") for t in parts))
    if isinstance(y, tuple):
        return tuple(raw.cast(t, own) for t in y)
    return raw.cast(y, own)


def _axes(name: str, t: Tensor, count: int) -> tuple[int, ...]:
    if t.ndim < count or 0 in t.shape[t.ndim - count :]:
        raise ShapeError(
            f"[{name}] needs elements on the last {count} axes, received {t.shape}"
        )
    return tuple(range(t.ndim - count, t.ndim))


def _length(name: str, n: Any) -> int:
    if integer(name, "fft_length", n) < 1:
        raise ValueError(f"[{name}] fft_length must be positive, received {n}")
    return int(n)


def _fitted(t: Tensor, n: int) -> Tensor:
    """The last axis cut or filled with zeros to n elements."""
    have = t.shape[-1]
    if have >= n:
        return t if have == n else t[..., :n]
    return pad(t, [(0, 0)] * (t.ndim - 1) + [(0, n - have)])


# ---- transforms --------------------------------------------------------------------


def fft(x: Any) -> tuple[Tensor, Tensor]:
    """Discrete Fourier transform of a pair (real, imag) along the last axis."""
    real, imag = _pair("fft", x)
    axes = _axes("fft", real, 1)
    return _run(lambda r, i: raw.fft(r, i, axes, False), real, imag)


def fft2(x: Any) -> tuple[Tensor, Tensor]:
    """Discrete Fourier transform of a pair (real, imag) over the last two axes."""
    real, imag = _pair("fft2", x)
    axes = _axes("fft2", real, 2)
    return _run(lambda r, i: raw.fft(r, i, axes, False), real, imag)


def ifft2(x: Any) -> tuple[Tensor, Tensor]:
    """Inverse of `fft2`."""
    real, imag = _pair("ifft2", x)
    axes = _axes("ifft2", real, 2)
    scale = 1.0 / _math.prod(real.shape[-2:])

    def transform(r: Tensor, i: Tensor) -> Any:
        return tuple(raw.multiply(t, scale) for t in raw.fft(r, i, axes, True))

    return _run(transform, real, imag)


def rfft(x: Any, fft_length: int | None = None) -> tuple[Tensor, Tensor]:
    """The n // 2 + 1 first frequencies of real numbers along the last axis, as a pair.

    fft_length: n; x is cut or filled with zeros to it.
    """
    t = to_float(x)
    if t.ndim and fft_length is not None:
        t = _fitted(t, _length("rfft", fft_length))
    _axes("rfft", t, 1)
    return _run(raw.rfft, t)


def irfft(x: Any, fft_length: int | None = None) -> Tensor:
    """Real numbers from a pair with the first frequencies along the last axis.

    fft_length: how many numbers n; 2 (m - 1) for m frequencies when None. The
    frequencies are cut or filled with zeros to n // 2 + 1.
    """
    real, imag = _pair("irfft", x)
    if not real.ndim or fft_length is None:
        _axes("irfft", real, 1)
    n = 2 * (real.shape[-1] - 1) if fft_length is None else fft_length
    n = _length("irfft", n)
    parts = (_fitted(t, n // 2 + 1) for t in (real, imag))
    return _run(lambda r, i: raw.multiply(raw.irfft(r, i, n), 1.0 / n), *parts)


# ---- short-time transforms ---------------------------------------------------------


def _frames(count: int, length: int, stride: int, dtype: str = "int64") -> Tensor:
    def places() -> np.ndarray:
        return np.arange(count)[:, None] * stride + np.arange(length)

    return constant((count, length), dtype, places)


def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Tensor:
    """Windows of the last axis: (..., n) to (..., windows, sequence_length).

    A window begins every `sequence_stride` elements, as long as it fits.
    """
    t = convert_to_tensor(x)
    if not t.ndim:
        raise ShapeError("[extract_sequences] needs rank 1 or more, received a scalar")
    length = integer("extract_sequences", "sequence_length", sequence_length)
    stride = integer("extract_sequences", "sequence_stride", sequence_stride)
    if length < 1 or stride < 1:
        raise ValueError(
            f"[extract_sequences] sequence_length and sequence_stride must be "
            f"positive, received {length} and {stride}"
        )
    count = max((t.shape[-1] - (length - stride)) // stride, 0)
    return take(t, _frames(count, length, stride), t.ndim - 1)


_COSINES = {"hann": 0.5, "hamming": 0.54}  # windows a - (1 - a) cos


def named_window(name: str, length: int, periodic: bool) -> np.ndarray:
    """A window in float64, by the name that SciPy has for it.

    Raises:
        ImportError: for a window that only SciPy has, without SciPy.
        ValueError: for one that it does not have.
    """
    first = _COSINES.get(name)
    if first is not None:
        size = length if periodic or length == 1 else length - 1
        turn = 2 * np.pi * np.arange(length) / size
        return np.ones(1) if length == 1 else first - (1 - first) * np.cos(turn)
    try:
        from scipy.signal import get_window
    except ImportError:
        raise ImportError(
            f"[window] {name!r} is a window of SciPy: `pip install scipy`, or use "
            f"{', '.join(map(repr, _COSINES))}, or give an array."
        ) from None
    found: np.ndarray = get_window(name, length, fftbins=periodic)
    return found


def _window(name: str, window: Any, length: int, fft_length: int, dtype: str) -> Tensor:
    """The window in the middle of `fft_length` places."""
    if fft_length < length:
        raise ValueError(
            f"[{name}] fft_length must be at least sequence_length, received "
            f"{fft_length} and {length}"
        )
    if window is None:
        return Tensor(np.ones(fft_length, dtype))
    if isinstance(window, str):
        if window not in _COSINES:
            raise ValueError(
                f'[{name}] window must be "hann", "hamming", a vector or None, '
                f"received {window!r}"
            )
        w = Tensor(named_window(window, length, True).astype(dtype))
    else:
        w = integers.cast(convert_to_tensor(window), dtype)
    if w.shape != (length,):
        raise ShapeError(
            f"[{name}] window must be a vector of sequence_length {length} numbers, "
            f"received shape {w.shape}"
        )
    left = (fft_length - length) // 2
    return pad(w, [(left, fft_length - length - left)])


def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> tuple[Tensor, Tensor]:
    """Short-time Fourier transform: (..., n) to a pair (..., windows, fft_length//2+1).

    Args:
        x: float tensor.
        sequence_length: size of the window.
        sequence_stride: distance of windows.
        fft_length: size of the transforms, at least `sequence_length`.
        window: "hann", "hamming", a vector of `sequence_length` numbers, or None.
        center: whether x is mirrored by fft_length // 2 at both ends, so that window t
            is centred at t * sequence_stride.

    Raises:
        DTypeError: for an x that is not floating.
        ValueError: for another window or a shorter `fft_length`.
    """
    t = convert_to_tensor(x)
    if not is_float(t.dtype):
        raise DTypeError(
            f'[stft] x must be floating, received {t.dtype}: cast(x, "float32") first'
        )
    w = _window("stft", window, sequence_length, fft_length, t.dtype)
    if center:
        half = fft_length // 2
        t = pad(t, [(0, 0)] * (t.ndim - 1) + [(half, half)], "reflect")
    frames = extract_sequences(t, fft_length, sequence_stride)
    return _run(raw.rfft, raw.multiply(frames, w))


def _added(frames: Tensor, stride: int) -> Tensor:
    """Windows (..., count, length) added up where they lay on the last axis."""
    *batch, count, length = frames.shape
    total = length + stride * (count - 1)
    place = raw.reshape(_frames(count, length, stride, "int32"), (1, count * length))
    rows = _math.prod(batch)
    flat = raw.reshape(frames, (rows, count * length))
    where = raw.broadcast_to(place, flat.shape)
    return raw.reshape(raw.batch_take_grad(flat, where, total), (*batch, total))


def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Tensor:
    """Inverse of `stft` by least squares (Griffin and Lim 1984, equation 6).

    Args:
        x: pair (real, imag) of shape (..., windows, fft_length // 2 + 1).
        length: elements of the result; all by default.
        sequence_length, sequence_stride, fft_length, window, center: as of `stft`.
            Without a window the transforms are added as they are.
    """
    real, imag = _pair("istft", x)
    if real.ndim < 2:
        raise ShapeError(f"[istft] needs (..., windows, bins), received {real.shape}")
    w = _window("istft", window, sequence_length, fft_length, real.dtype)
    frames = irfft((real, imag), fft_length)
    if window is None:
        y = _added(frames, sequence_stride)
    else:
        y = _added(raw.multiply(frames, w), sequence_stride)
        squares = raw.broadcast_to(raw.square(w), frames.shape[-2:])
        weight = _added(squares, sequence_stride)
        weight = raw.where(raw.greater(weight, 1e-10), weight, 1.0)
        y = raw.divide(y, weight)
    half = fft_length // 2 if center else 0
    stop = y.shape[-1] - half if length is None else half + length
    return y[..., half:stop]


# ---- complex numbers ---------------------------------------------------------------


def polar(abs_: Any, angle: Any) -> tuple[Tensor, Tensor]:
    """The complex number of a magnitude and an angle, as a pair (real, imag)."""
    r, phi = (to_float(t) for t in promote(abs_, angle))
    return raw.multiply(r, raw.cos(phi)), raw.multiply(r, raw.sin(phi))


def view_as_complex(x: Any) -> tuple[Tensor, Tensor]:
    """A pair (real, imag) of shape (...) from (..., 2).

    Raises:
        ShapeError: when the last axis is not of size 2.
    """
    t = convert_to_tensor(x)
    if not t.ndim or t.shape[-1] != 2:
        raise ShapeError(
            f"[view_as_complex] the last axis must have size 2, received {t.shape}"
        )
    return t[..., 0], t[..., 1]


def view_as_real(x: Any) -> Tensor:
    """A pair (real, imag) of shape (...), or real numbers, as one tensor (..., 2)."""
    if not isinstance(x, (tuple, list)):
        x = (convert_to_tensor(x), zeros_like(x))
    return stack(_pair("view_as_real", x), -1)


__all__ = [
    *"extract_sequences fft fft2 ifft2 irfft istft polar rfft stft".split(),
    *"view_as_complex view_as_real".split(),
]
