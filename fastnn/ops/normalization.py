# SPDX-License-Identifier: Apache-2.0
"""Moments and normalization with Keras's signatures."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor
from fastnn.errors import ShapeError
from fastnn.ops._constants import filled
from fastnn.ops._promote import axes_of, axis_of, to_float
from fastnn.ops.matrices import norm


def moments(
    x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False
) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of x over axes.

    Computed in one pass over memory from merged blocks (Chan, Golub and LeVeque 1979),
    so a large offset costs no digits of the variance.

    Args:
        x: tensor.
        axes: int or list of ints.
        keepdims: keep the axes, with size 1.
        synchronized: statistics over all replicas; there is one here.

    Returns:
        (mean, variance).
    """
    if synchronized:
        raise NotImplementedError(
            "[moments] synchronized=True needs replicas, of which fastnn has one: use "
            "synchronized=False"
        )
    t = to_float(x)
    mean, variance = raw.moments(t, axes_of(axes, t.ndim, "moments"), bool(keepdims))
    return mean, variance


def _like(value: Any, x: Tensor, fill: float, shape: tuple[int, ...]) -> Tensor:
    """A parameter in the dtype of x; `fill` where there is none."""
    if value is None:
        return filled(shape, fill, x.dtype)
    t = to_float(value)
    t = t if t.dtype == x.dtype else raw.cast(t, x.dtype)
    same = [n for n in t.shape if n != 1] == [n for n in shape if n != 1]
    return raw.reshape(t, shape) if same and t.shape != shape else t


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset (arXiv:1502.03167).

    Args:
        x: tensor of any rank.
        mean, variance: vectors over `axis`.
        axis: the axis that is normalized with the same statistics, the channels.
        offset: vector to add, or None.
        scale: vector to multiply with, or None.
        epsilon: added to the variance.

    Returns:
        A tensor of the shape of x.
    """
    t = to_float(x)
    a = axis_of(axis, t.ndim, "batch_normalization")
    shape = (t.shape[a],)
    given = ((mean, 0.0), (variance, 1.0), (scale, 1.0), (offset, 0.0))
    m, v, g, b = [_like(value, t, fill, shape) for value, fill in given]
    return raw.batch_norm_apply(t, m, v, g, b, a, float(epsilon))


def _last(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, int, Any]:
    """x with `axes` behind all others, the first of them, and the way back."""
    rank = x.ndim
    first = rank - len(axes)
    shape = x.shape
    if axes == tuple(range(first, rank)):
        if first:
            return x, first, lambda y: y
        one = raw.reshape(x, (1, *shape))
        return one, 1, lambda y: raw.reshape(y, shape)
    perm = (*[i for i in range(rank) if i not in axes], *axes)
    back = tuple(sorted(range(rank), key=perm.__getitem__))
    moved = raw.copy(raw.transpose(x, perm))
    return moved, first, lambda y: raw.transpose(y, back)


def _epsilon(epsilon: float | None) -> float:
    return config.epsilon() if epsilon is None else float(epsilon)


def _normalize_rows(
    x: Tensor, gamma: Any, beta: Any, axis: Any, epsilon: Any, centered: bool
) -> Tensor:
    name = "layer_normalization" if centered else "rms_normalization"
    rows, first, back = _last(x, axes_of(axis, x.ndim, name))
    shape = rows.shape[first:]
    g, b = _like(gamma, x, 1.0, shape), _like(beta, x, 0.0, shape)
    return back(raw.layer_norm(rows, g, b, first, _epsilon(epsilon), centered)[0])


def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta (arXiv:1607.06450).

    Mean and variance are those over `axis`.

    Args:
        x: tensor.
        gamma, beta: of the shape of the normalized axes, or None.
        axis: int or list of ints.
        epsilon: added to the variance; `config.epsilon()` by default.
        **kwargs: `rms_scaling=True` divides x by sqrt(variance + epsilon) without
            subtracting the mean and without beta, as Keras does.

    Returns:
        A tensor of the shape of x.
    """
    scaling = kwargs.pop("rms_scaling", False)
    if kwargs:
        raise TypeError(f"[layer_normalization] unknown arguments {sorted(kwargs)}")
    t = to_float(x)
    if not scaling:
        return _normalize_rows(t, gamma, beta, axis, epsilon, True)
    axes = axes_of(axis, t.ndim, "layer_normalization")
    variance = raw.moments(t, axes, True)[1]
    y = raw.multiply(t, raw.rsqrt(raw.add(variance, _epsilon(epsilon))))
    if gamma is None:
        return y
    shape = tuple(t.shape[a] for a in axes)
    wide = tuple(n if i in axes else 1 for i, n in enumerate(t.shape))
    return raw.multiply(y, raw.reshape(_like(gamma, t, 1.0, shape), wide))


def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) * scale over axes (arXiv:1910.07467).

    Args:
        x: tensor.
        scale: of the shape of the normalized axes (or one that broadcasts), or None.
        axis: int or list of ints.
        epsilon: added to the mean; `config.epsilon()` by default.

    Returns:
        A tensor of the shape of x.
    """
    t = to_float(x)
    if t.ndim == 0:
        t = raw.reshape(t, (1,))
    if scale is None:
        return _normalize_rows(t, None, None, axis, epsilon, False)
    axes = axes_of(axis, t.ndim, "rms_normalization")
    factor = _like(scale, t, 1.0, ())
    if factor.shape == tuple(t.shape[a] for a in axes):
        return _normalize_rows(t, factor, None, axes, epsilon, False)
    return raw.multiply(_normalize_rows(t, None, None, axes, epsilon, False), factor)


def normalize(
    x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None
) -> Tensor:
    """x divided by its norm along axes, which counts as epsilon at least.

    Args:
        x: tensor.
        axis: int or list of ints.
        order: the p of the norm, a whole number from 1 on.
        epsilon: smallest norm; `config.epsilon()` by default.

    Returns:
        A tensor of the shape of x, (1,) for a scalar.
    """
    if not isinstance(order, int) or order < 1:
        raise ValueError(
            f"[normalize] order must be an int from 1 on, received {order!r}"
        )
    t = to_float(x)
    if t.ndim == 0:
        t = raw.reshape(t, (1,))
    smallest = _epsilon(epsilon)
    if order != 2:
        return raw.divide(t, raw.maximum(norm(t, order, axis, True), smallest))
    axes = axes_of(axis, t.ndim, "normalize")
    if not axes:
        raise ShapeError(f"[normalize] needs at least one axis, received {axis!r}")
    rows, first, back = _last(t, axes)
    flat = raw.reshape(rows, (*rows.shape[:first], int(np.prod(rows.shape[first:]))))
    return back(raw.reshape(raw.unit_norm(flat, smallest)[0], rows.shape))


__all__ = [
    "batch_normalization",
    "layer_normalization",
    "moments",
    "normalize",
    "rms_normalization",
]
