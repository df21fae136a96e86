# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of shared/math/logistic.h: of tanh, and sixteenths of powers of 2.

|x| lies in one of 15 intervals: below 1/8, then half octaves. In each a polynomial of
degree 6 in |x| - centre fits tanh by weighted least squares, reweighted towards the
least relative error (Lawson 1961), coefficient by coefficient rounded to float32. Every
centre is a float32 whose tanh nearly is one too (Gal 1991), so the constant term, which
would bring half an ULP, is exact.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

DEGREE = 6
TOP = 9.0625  # tanh rounds to 1 from 9.011 on


def centre(low: float, high: float) -> np.float32:
    """A float32 near the middle whose tanh is next to a float32."""
    if low == 0:
        return np.float32(0)
    middle, width = (low + high) / 2, high - low
    near = np.linspace(middle - width / 50, middle + width / 50, 20001)
    near = np.unique(near.astype(np.float32))
    exact = np.tanh(near.astype(np.longdouble))
    return near[np.argmin(np.abs(exact - exact.astype(np.float32)))]


def fit(low: float, high: float) -> tuple[np.float32, list[np.float32]]:
    """The centre of an interval and the coefficients c0, c1, ... from there."""
    c = centre(low, high)
    nodes = np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    x = (low + high) / 2 + (high - low) / 2 * nodes
    t, y = x - np.float64(c), np.tanh(x)
    scale = np.abs(t).max()
    fixed = [np.float32(np.tanh(np.float64(c)))]
    if low == 0:
        fixed.append(np.float32(1))  # tanh x / x is 1 where x is tiny
    while len(fixed) <= DEGREE:
        left = np.arange(len(fixed), DEGREE + 1)
        rest = y - sum(np.float64(a) * t**k for k, a in enumerate(fixed))
        columns = (t[:, None] / scale) ** left
        weight = np.ones_like(y)
        for _ in range(60):
            w = np.sqrt(weight) / y
            a = np.linalg.lstsq(columns * w[:, None], rest * w, rcond=None)[0]
            error = np.abs(columns @ a - rest) / y
            weight *= error / error.max() + 1e-3
            weight /= weight.sum()
        fixed.append(np.float32(a[0] / scale ** left[0]))
    return c, fixed


def table() -> np.ndarray:
    """Row k: number k (the centre, then coefficients) of every interval, by index.

    The index is that of the table instruction: the exponent and the first bit of the
    mantissa, modulo 16.
    """
    rows = np.zeros((DEGREE + 2, 16), np.float32)
    starts = [2.0**e * half for e in range(-3, 4) for half in (1, 1.5)]
    edges = [0.0, *starts[:13], TOP]
    for low, high in pairwise(edges):
        place = np.float32(max(low, 0.09375)).view(np.uint32) >> 22
        c, coefficients = fit(low, high)
        rows[:, int(place) % 16] = [c, *coefficients]
    return rows


def sixteenths() -> np.ndarray:
    """2^(-i / 16) as float32, and what rounding took from it, as a share of it."""
    exact = np.longdouble(2) ** (-np.arange(16, dtype=np.longdouble) / 16)
    rounded = exact.astype(np.float32)
    return np.stack([rounded, (exact / rounded - 1).astype(np.float32)])


if __name__ == "__main__":
    for row in (*table(), *sixteenths()):
        numbers = ", ".join(f"{v:.9g}f" if v % 1 else f"{v:.0f}" for v in row)
        print("    {" + numbers + "},")
