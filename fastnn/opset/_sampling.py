# SPDX-License-Identifier: Apache-2.0
"""NumPy reference of csrc/shared/sampling.h: the same draws, decided in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastnn.opset._philox import words_of

SECOND = 1 << 14  # attempts of beta's second gamma number


def _bits(e: Any, state: Any, attempt: Any, width: int) -> Any:
    """The 32- or 64-bit integers of elements e at their attempt."""
    per = 4 if width == 32 else 2
    w = words_of(e // per + (attempt << 48), state)
    if width == 32:
        return w[np.arange(len(e)), e % 4]
    low, high = (w[np.arange(len(e)), e % 2 * 2 + k].astype(np.uint64) for k in (0, 1))
    return low | high << np.uint64(32)


def integers(
    state: Any, low: int, span: int, shape: tuple[int, ...], dtype: str
) -> Any:
    n = int(np.prod(shape, dtype=np.int64))
    span = span % 2**64 or 2**64
    width = 32 if span <= 2**32 else 64
    reject = (2**width - span) % span
    waiting = np.arange(n)
    drawn = [0] * n
    attempt = 0
    while len(waiting):
        left = []
        for e, bits in zip(waiting, _bits(waiting, state, attempt, width), strict=True):
            product = int(bits) * span
            if product % 2**width >= reject:
                drawn[e] = (low + (product >> width)) % 2**64
            else:
                left.append(e)
        waiting = np.asarray(left, np.int64)
        attempt += 1
    unsigned = np.asarray(drawn, np.uint64)
    return (
        unsigned.astype(f"uint{8 * np.dtype(dtype).itemsize}")
        .view(dtype)
        .reshape(shape)
    )


def _units(e: Any, state: Any, attempt: int, dtype: str) -> Any:
    """(4, n): uniform numbers of one attempt of each element."""
    if dtype == "float32":
        return (words_of(e + (attempt << 48), state).T >> 8) * 2.0**-24
    first = e.astype(np.uint64) + np.uint64(2 * attempt << 48)
    w = np.concatenate(
        [words_of(first + np.uint64(k << 48), state).T for k in (0, 1)]
    ).astype(np.uint64)
    return ((w[0::2] | w[1::2] << np.uint64(32)) >> np.uint64(11)) * 2.0**-53


def _gamma(alpha: Any, state: Any, dtype: str, attempt: int) -> tuple[Any, Any]:
    """Values and logarithms of factors, flat."""
    ulp = 2.0**-24 if dtype == "float32" else 2.0**-53
    a = alpha.astype(np.float64).reshape(-1)
    value = np.where((a == 0) | np.isposinf(a), a, np.nan)
    factor = np.zeros_like(a)
    waiting = np.flatnonzero((a > 0) & np.isfinite(a))
    while len(waiting):
        u = _units(waiting, state, attempt, dtype)
        own = a[waiting]
        d = np.where(own < 1, own + 1, own) - 1 / 3
        x = np.sqrt(-2 * np.log(u[0] + ulp)) * np.cos(2 * np.pi * u[1])
        t = x / (3 * np.sqrt(d))
        with np.errstate(all="ignore"):
            series = sum((-1) ** (k + 1) * t**k / k for k in range(24, 3, -1))
            rest = np.log1p(t) - t + t**2 / 2 - t**3 / 3
            rest = np.where(np.abs(t) < 0.25, series, rest)
            taken = (t > -1) & (np.log(u[2] + ulp) < 3 * d * rest)
        value[waiting[taken]] = (d * (1 + t) ** 3)[taken]
        small = taken & (own < 1)
        factor[waiting[small]] = (np.log(u[3] + ulp) / own)[small]
        waiting = waiting[~taken]
        attempt += 1
    return value, factor


def gamma(alpha: Any, state: Any, dtype: str) -> Any:
    value, factor = _gamma(alpha, state, dtype, 0)
    return (value * np.exp(factor)).astype(dtype).reshape(alpha.shape)


def beta(alpha: Any, beta: Any, state: Any, dtype: str) -> Any:
    (x, fx), (y, fy) = (
        _gamma(p, state, dtype, first) for p, first in ((alpha, 0), (beta, SECOND))
    )
    top = np.maximum(fx, fy)
    x, y = x * np.exp(fx - top), y * np.exp(fy - top)
    return (x / (x + y)).astype(dtype).reshape(alpha.shape)


def _tail(k: float) -> float:
    """log(k!) less Stirling's approximation in k + 1."""
    z = k + 1
    if z < 1e6:
        return math.lgamma(z) - (z - 0.5) * math.log(z) + z - math.log(2 * math.pi) / 2
    return 1 / (12 * z)


def _invert(n: float, p: float, u: float) -> float:
    k, mass = 0.0, math.exp(n * math.log1p(-p))
    while u >= mass and k < min(n, 200):
        u -= mass
        k += 1
        mass *= p / (1 - p) * (n - k + 1) / k
    return k


def _btrs(n: float, p: float, u: float, v: float) -> float:
    """One attempt of Hormann's BTRS; -1 when rejected."""
    odds, spread = p / (1 - p), math.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * p
    m = math.floor((n + 1) * p)
    u -= 0.5
    us = 0.5 - abs(u)
    if us == 0:
        return -1
    k = float(math.floor((2 * a / us + b) * u + n * p + 0.5))
    if us >= 0.07 and v <= 0.92 - 4.2 / b:
        return k
    if not 0 <= k <= n or v == 0:
        return -1 if v else k
    height = math.log(v * (2.83 + 5.1 / b) * spread / (a / us**2 + b))
    bound = (
        (m + 0.5) * math.log((m + 1) / (odds * (n - m + 1)))
        + (n + 1) * math.log((n - m + 1) / (n - k + 1))
        + (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
        + _tail(m)
        + _tail(n - m)
        - _tail(k)
        - _tail(n - k)
    )
    return k if height <= bound else -1


def _binomial(e: int, count: float, probability: float, state: Any) -> float:
    n = math.floor(count) if np.isfinite(count) else count
    if not (n >= 0 and 0 <= probability <= 1):
        return np.nan
    flip = probability > 0.5
    p = 1 - probability if flip else probability
    k, attempt = 0.0 if n == 0 or p == 0 else -1.0, 0
    while k < 0:
        w = [int(x) for x in words_of(np.array([e + (attempt << 48)]), state)[0]]
        u, v = ((w[i] | w[i + 1] << 32) / 2**64 for i in (0, 2))
        u, v = math.floor(u * 2**53) / 2**53, math.floor(v * 2**53) / 2**53
        k = _invert(n, p, u) if n * p < 10 else _btrs(n, p, u, v)
        attempt += 1
    return n - k if flip else k


def binomial(counts: Any, probabilities: Any, state: Any, dtype: str) -> Any:
    pairs = zip(counts.reshape(-1), probabilities.reshape(-1), strict=True)
    drawn = [_binomial(e, float(n), float(p), state) for e, (n, p) in enumerate(pairs)]
    return np.asarray(drawn, dtype).reshape(counts.shape)


def categorical(logits: Any, state: Any, num_samples: int) -> Any:
    rows, classes = logits.shape
    e = np.arange(rows * num_samples)
    u = (_bits(e, state, 0, 64) >> np.uint64(11)) * 2.0**-53
    z = logits.astype(np.float64)
    mass = np.exp(z - z.max(axis=1, keepdims=True)).cumsum(axis=1)
    target = u.reshape(rows, num_samples, 1) * mass[:, None, -1:]
    return np.minimum((mass[:, None] <= target).sum(axis=2), classes - 1)


def permutation(state: Any, n: int) -> Any:
    """Fisher and Yates; bounded draws of the words of blocks 0, 1, ..."""
    flat = words_of(np.arange(n + 8), state).reshape(-1)
    used, order = 0, np.arange(n)
    for i in range(n - 1, 0, -1):
        bound = i + 1
        while True:
            product = int(flat[used]) * bound
            used += 1
            if product % 2**32 >= (2**32 - bound) % bound:
                break
        j = product >> 32
        order[i], order[j] = order[j], order[i]
    return order
