# SPDX-License-Identifier: Apache-2.0
"""Sample inputs for records: small shapes that cover scalars, empty, tails, broadcast.

A generator is `samples(rng, dtype)`; `rng` is a NumPy Generator, dtype the float type
under test (integer and bool operands choose their own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.opset._opdef import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHAPES: tuple[tuple[int, ...], ...] = ((), (0, 3), (1,), (7,), (3, 5), (2, 3, 19))
PAIRS = (
    ((), ()),
    ((7,), ()),
    ((3, 5), (3, 5)),
    ((3, 5), (5,)),
    ((3, 1), (1, 5)),
    ((2, 3, 19), (3, 1)),
    ((0, 3), (1, 3)),
)


def typical(samples: Callable[..., Any], **cases: Any) -> Callable[..., Sample]:
    """A record's typical sample: the first of its generator, given other cases."""
    return lambda rng, dtype: next(iter(samples(rng, dtype, **cases)))


def uniform(
    rng: Any, shape: tuple[int, ...], dtype: str, low: float, high: float
) -> Any:
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith(("int", "uint")):
        return rng.integers(int(low), int(high) + 1, shape).astype(dtype)
    return np.asarray(rng.uniform(low, high, shape), dtype=dtype)


def away_from_zero(x: Any, gap: float = 0.1) -> Any:
    """Moves samples off a kink at 0, where central differences mean nothing."""
    return np.where(np.abs(x) < gap, x + np.copysign(gap, x), x).astype(x.dtype)


def unary(
    low: float, high: float, *, attrs: tuple[tuple, ...] = ((),), kink: bool = False
) -> Callable[..., Iterator[Sample]]:
    def make(rng: Any, dtype: str) -> Iterator[Sample]:
        for values in attrs:
            for shape in SHAPES:
                x = uniform(rng, shape, dtype, low, high)
                yield Sample((away_from_zero(x) if kink else x,), values)

    return make


def binary(
    low: float,
    high: float,
    *,
    low2: float | None = None,
    high2: float | None = None,
    attrs: tuple[tuple, ...] = ((),),
    kink: bool = False,
    pairs: tuple = PAIRS,
) -> Callable[..., Iterator[Sample]]:
    def make(rng: Any, dtype: str) -> Iterator[Sample]:
        for values in attrs:
            for s1, s2 in pairs:
                a = uniform(rng, s1, dtype, low, high)
                b = uniform(
                    rng,
                    s2,
                    dtype,
                    low if low2 is None else low2,
                    high if high2 is None else high2,
                )
                if kink:
                    a, b = away_from_zero(a), away_from_zero(b)
                yield Sample((a, b), values)

    return make


_EQUAL: tuple = (((), ()), ((7,), (7,)), ((3, 5), (3, 5)), ((2, 3, 19), (2, 3, 19)))
EQUAL_PAIRS: tuple = (*_EQUAL, ((0, 3), (0, 3)))
