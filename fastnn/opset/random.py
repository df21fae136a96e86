# SPDX-License-Identifier: Apache-2.0
"""Random ops: pure functions of `state` = (seed, step) and the element's index.

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
The reference implements the same stream, so kernels are compared bit for bit where
no transcendental is involved.
"""

from __future__ import annotations

from typing import Any

from fastnn.errors import ShapeError
from fastnn.opset._infer import check_float
from fastnn.opset._opdef import RANDOM, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import uniform

STATIC = (Attr("shape", "static"), Attr("dtype", "static"))
SHAPES = ((), (0, 3), (5,), (3, 19), (2, 3, 4))


def _state(rng: Any) -> Any:
    return rng.integers(0, 2**40, 2).astype("int64")


def _philox(name: str) -> Any:
    """A generator of `_philox`, the definition of these ops; kernels are what runs."""

    def ref(*args: Any) -> Any:
        from fastnn.opset import _philox

        return getattr(_philox, name)(*args)

    return ref


def _infer(name: str) -> Any:
    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        if specs[0] != ((2,), "int64"):
            raise ShapeError(f"[{name}] state must be int64 (2,), received {specs[0]}")
        check_float(name, attrs[-1])
        return [Spec(tuple(attrs[-2]), attrs[-1])]

    return infer


def _samples(*values: float) -> Any:
    def make(rng: Any, dtype: str) -> Any:
        for shape in SHAPES:
            yield Sample((_state(rng),), (*values, shape, dtype))

    return make


def _generator(name: str, a: str, b: str, ref: Any, **f: Any) -> None:
    op(
        name,
        inputs="state",
        attrs=(Attr(a, "float"), Attr(b, "float"), *STATIC),
        infer=_infer(name),
        kind=RANDOM,
        ref=ref,
        samples=_samples(-1.0, 3.0),
        cost=2.0,
        **f,
    )


_generator(
    "random_uniform",
    "low",
    "high",
    _philox("uniform"),
    tol=Tol(4e-7, 1e-15, 1e-6),
    doc="uniform in [low, high)",
)
_generator(
    "random_normal",
    "mean",
    "stddev",
    _philox("normal"),
    tol=Tol(4e-6, 1e-13, 2e-5),
    doc="normal by Box-Muller",
)
_generator(
    "truncated_normal",
    "mean",
    "stddev",
    _philox("truncated_normal"),
    tol=Tol(2e-5, 1e-12, 1e-4),
    doc="normal, values beyond 2 stddev excluded",
)


def _dropout_samples(rng: Any, dtype: str) -> Any:
    for shape in SHAPES:
        for rate in (0.0, 0.2, 0.5):
            yield Sample((uniform(rng, shape, dtype, -3, 3), _state(rng)), (rate,))


op(
    "dropout",
    inputs="x state",
    attrs=(Attr("rate", "float"),),
    infer=lambda specs, attrs: [specs[0]],
    kind=RANDOM,
    ref=_philox("dropout"),
    vjp=lambda c, dy: (c.op.dropout(dy, c.state, c.rate), None),
    saves=("state",),
    samples=_dropout_samples,
    tol=Tol(2e-7, 1e-15),
    inplace=(0,),
    cost=0.6,
    doc="x / (1 - rate) where a 16-bit draw >= rate * 2^16, else 0; rate quantised",
)
