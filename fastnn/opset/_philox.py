# SPDX-License-Identifier: Apache-2.0
"""NumPy reference of the random streams defined in csrc/shared/philox.h."""

from __future__ import annotations

from typing import Any

import numpy as np

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(0xFFFFFFFF)


def words(state: Any, blocks: int) -> Any:
    """uint32 (blocks, 4): the first blocks."""
    return words_of(np.arange(blocks), state)


def words_of(blocks: Any, state: Any) -> Any:
    """uint32 (n, 4): Philox4x32-10 of counters (block, step), key = seed."""
    seed, step = (int(v) % 2**64 for v in np.asarray(state))
    index = np.asarray(blocks).astype(np.uint64)
    c = [
        index & LOW,
        index >> np.uint64(32),
        np.full(index.shape, step & 0xFFFFFFFF, np.uint64),
        np.full(index.shape, step >> 32, np.uint64),
    ]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = c[0] * M0, c[2] * M1
        c = [
            (p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            p1 & LOW,
            (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            p0 & LOW,
        ]
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return np.stack(c, axis=1).astype(np.uint32)


def _bits(state: Any, n: int, dtype: str) -> Any:
    """n integers of 24 (float32) or 53 (float64) bits, one per element."""
    if dtype == "float32":
        return (words(state, -(-n // 4)).reshape(-1)[:n] >> 8).astype(np.float64)
    w = words(state, -(-n // 2)).reshape(-1, 2).astype(np.uint64)
    both = w[:, 0] | (w[:, 1] << np.uint64(32))
    return (both[:n] >> np.uint64(11)).astype(np.float64)


def _ulp(dtype: str) -> float:
    return 2.0**-24 if dtype == "float32" else 2.0**-53


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def uniform(
    state: Any, low: float, high: float, shape: tuple[int, ...], dtype: str
) -> Any:
    t = np.dtype(dtype).type
    u = _bits(state, _size(shape), dtype) * _ulp(dtype)
    span = t(high) - t(low)
    x = (u * float(span) + float(t(low))).astype(dtype)
    top = np.nextafter(t(high), t(-np.inf)) if span > 0 else t(low)
    return np.minimum(x, top).reshape(shape)


def normal(
    state: Any, mean: float, stddev: float, shape: tuple[int, ...], dtype: str
) -> Any:
    n = _size(shape)
    bits = _bits(state, n + n % 2, dtype).reshape(-1, 2)
    ulp = _ulp(dtype)
    r = np.sqrt(-2 * np.log((bits[:, 0] + 1) * ulp))
    angle = 2 * np.pi * (bits[:, 1] * ulp)
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1).reshape(-1)[:n]
    return (mean + stddev * z).astype(dtype).reshape(shape)


def truncated_normal(
    state: Any, mean: float, stddev: float, shape: tuple[int, ...], dtype: str
) -> Any:
    ulp = _ulp(dtype)
    v = 2 * _bits(state, _size(shape), dtype) * ulp + (ulp - 1)
    z = np.clip(np.sqrt(2) * _erfinv(v * 0.954499736103641585599), -2, 2)
    return (mean + stddev * z).astype(dtype).reshape(shape)


def _erfinv(x: Any) -> Any:
    """Giles' start (2010) and Newton steps on math.erf, float64."""
    import math

    a = 0.147  # Winitzki's approximation, relative error 2e-3
    log1 = np.log1p(-x * x)
    b = 2 / (np.pi * a) + log1 / 2
    y = np.sign(x) * np.sqrt(np.sqrt(b * b - log1 / a) - b)
    erf = np.vectorize(math.erf, otypes=[np.float64])
    for _ in range(3):
        y = y - (erf(y) - x) * np.exp(y * y) * (math.sqrt(math.pi) / 2)
    return y


def dropout(x: Any, state: Any, rate: float) -> Any:
    threshold = int(np.rint(rate * 65536))
    keep = (65536 - threshold) / 65536
    scale = x.dtype.type(1 / keep if keep > 0 else 0)
    kept = (halves(state, x.size) >= threshold).reshape(x.shape)
    return np.where(kept, x * scale, x.dtype.type(0))


def halves(state: Any, n: int) -> Any:
    """n 16-bit draws, low half of each word first."""
    if n == 0:
        return np.zeros(0, np.uint16)
    flat = words(state, -(-n // 8)).reshape(-1)
    return np.stack([flat & 0xFFFF, flat >> 16], axis=1).reshape(-1)[:n]
