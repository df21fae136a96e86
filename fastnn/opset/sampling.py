# SPDX-License-Identifier: Apache-2.0
"""Integers, permutations and distributions by rejection; csrc/shared/sampling.h.

As the ops in `random`, pure functions of `state` = (seed, step) and the element's
index. None has a gradient: draws by rejection are not differentiable functions of their
parameters.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.errors import DTypeError, ShapeError
from fastnn.opset import _sampling
from fastnn.opset._dtypes import INTEGERS
from fastnn.opset._infer import check_float, check_rank, check_same_dtype
from fastnn.opset._opdef import EXACT, RANDOM, Attr, Sample, Spec, Tol, op
from fastnn.opset._samples import typical, uniform
from fastnn.opset.random import SHAPES, STATIC, _state

DTYPE = Attr("dtype", "static")


def _check_state(name: str, spec: Spec) -> None:
    if spec != ((2,), "int64"):
        raise ShapeError(f"[{name}] state must be int64 (2,), received {spec}")


def _infer_integers(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check_state("random_integers", specs[0])
    if attrs[3] not in INTEGERS:
        raise DTypeError(
            f"[random_integers] needs an integer dtype, received {attrs[3]}"
        )
    return [Spec(tuple(attrs[2]), attrs[3])]


def _integer_samples(rng: Any, dtype: str) -> Any:
    for shape in (*SHAPES, (150,)):
        yield Sample((_state(rng),), (-7, 13, shape, "int32"))
    for name, low, span in (
        ("uint8", 0, 256),
        ("int8", -128, 256),
        ("int16", -300, 601),
        ("uint16", 5, 1),
        ("uint32", 0, 2**32),
        ("int32", -(2**31), 3 * 2**30),  # a quarter of the draws is rejected
        ("int64", -(2**63), 0),  # all of them
        ("int64", -5, 2**40),
        ("uint64", 3, 3 * 2**62 - 2**64),
    ):
        yield Sample((_state(rng),), (low, span, (150,), name))


op(
    "random_integers",
    inputs="state",
    attrs=(Attr("low", "int"), Attr("span", "int"), *STATIC),
    infer=_infer_integers,
    kind=RANDOM,
    ref=_sampling.integers,
    samples=_integer_samples,
    tol=EXACT,
    cost=1.5,
    doc="uniform in [low, low + span), all modulo 2^64; Lemire 2019",
)


def _infer_permutation(specs: list[Spec], attrs: tuple) -> list[Spec]:
    _check_state("random_permutation", specs[0])
    return [Spec((attrs[0],), "int64")]


def _permutation_samples(rng: Any, dtype: str) -> Any:
    for n in (0, 1, 2, 57):
        yield Sample((_state(rng),), (n,))


op(
    "random_permutation",
    inputs="state",
    attrs=(Attr("n", "static"),),
    infer=_infer_permutation,
    kind=RANDOM,
    ref=_sampling.permutation,
    samples=_permutation_samples,
    typical=lambda rng, dtype: Sample((_state(rng),), (60000,)),
    tol=EXACT,
    cost=10.0,
    doc="0 .. n - 1 in random order; Fisher and Yates",
)


def _distribution(name: str, inputs: str, samples: Any, **fields: Any) -> None:
    count = len(inputs.split())

    def infer(specs: list[Spec], attrs: tuple) -> list[Spec]:
        _check_state(name, specs[count])
        check_float(name, check_same_dtype(name, [s.dtype for s in specs[:count]]))
        if attrs[0] != specs[0].dtype:
            raise DTypeError(
                f"[{name}] dtype {attrs[0]} must be that of the parameters, "
                f"{specs[0].dtype}"
            )
        if any(s.shape != specs[0].shape for s in specs[:count]):
            raise ShapeError(
                f"[{name}] parameters must have the shape of the result, received "
                f"{[s.shape for s in specs[:count]]}"
            )
        return [specs[0]]

    op(
        name,
        inputs=f"{inputs} state",
        attrs=(DTYPE,),
        infer=infer,
        kind=RANDOM,
        differentiable=False,
        samples=samples,
        typical=typical(samples, shapes=TYPICAL),
        **fields,
    )


TYPICAL = ((1 << 16,),)


def _gamma_samples(rng: Any, dtype: str, shapes: Any = SHAPES) -> Any:
    for shape in shapes:
        for low, high in ((0.05, 1), (1, 50)):
            alpha = uniform(rng, shape, dtype, low, high)
            yield Sample((alpha, _state(rng)), (dtype,))
    edges = np.asarray([0, np.inf, np.nan, -1, 1e-3, 1, 1e4], dtype)
    yield Sample((edges, _state(rng)), (dtype,))


def _beta_samples(rng: Any, dtype: str, shapes: Any = SHAPES) -> Any:
    for shape in shapes:
        for low, high in ((0.2, 1), (0.5, 20)):
            ab = [uniform(rng, shape, dtype, low, high) for _ in range(2)]
            yield Sample((*ab, _state(rng)), (dtype,))


def _binomial_samples(rng: Any, dtype: str, shapes: Any = SHAPES) -> Any:
    for shape in shapes:
        for most in (20, 2000):
            n = np.asarray(rng.integers(0, most, shape), dtype)
            p = uniform(rng, shape, dtype, 0, 1)
            yield Sample((n, p, _state(rng)), (dtype,))
    n = np.asarray([0, 5, 5, 7.9, -1, 5, 5, np.nan, 1000], dtype)
    p = np.asarray([0.5, 0, 1, 0.3, 0.5, -0.1, np.nan, 0.5, 0.999], dtype)
    yield Sample((n, p, _state(rng)), (dtype,))


_distribution(
    "random_gamma",
    "alpha",
    _gamma_samples,
    ref=_sampling.gamma,
    # The factor u^(1 / alpha) makes 1 / alpha of the error of log u.
    tol=Tol(5e-5, 1e-12, 1e-7),
    cost=15.0,
    doc="gamma of shape alpha and scale 1; Marsaglia & Tsang 2000",
)
_distribution(
    "random_beta",
    "alpha beta",
    _beta_samples,
    ref=_sampling.beta,
    tol=Tol(5e-5, 1e-12, 1e-6),
    cost=30.0,
    doc="beta: x / (x + y) of two gamma numbers",
)
_distribution(
    "random_binomial",
    "counts probabilities",
    _binomial_samples,
    ref=_sampling.binomial,
    tol=EXACT,
    cost=60.0,
    doc="successes in `counts` trials; inversion, from n p = 10 Hormann's BTRS (1993)",
)


def _infer_categorical(specs: list[Spec], attrs: tuple) -> list[Spec]:
    z = specs[0]
    check_float("random_categorical", z.dtype)
    check_rank("random_categorical", "logits", z.shape, 2)
    _check_state("random_categorical", specs[1])
    if z.shape[1] == 0:
        raise ShapeError(f"[random_categorical] no classes in logits {z.shape}")
    return [Spec((z.shape[0], attrs[0]), "int64")]


def _categorical_samples(rng: Any, dtype: str) -> Any:
    for shape, samples in (((3, 5), 7), ((9, 1), 2), ((0, 3), 2), ((2, 19), 0)):
        z = uniform(rng, shape, dtype, -3, 3)
        yield Sample((z, _state(rng)), (samples,))
    z = np.asarray([[-np.inf, 0, -np.inf], [-np.inf, 1, 1]], dtype)
    yield Sample((z, _state(rng)), (20,))


op(
    "random_categorical",
    inputs="logits state",
    attrs=(Attr("num_samples", "static"),),
    infer=_infer_categorical,
    kind=RANDOM,
    ref=_sampling.categorical,
    samples=_categorical_samples,
    typical=lambda rng, dtype: Sample(
        (uniform(rng, (512, 1000), dtype, -3, 3), _state(rng)), (1,)
    ),
    tol=EXACT,
    cost=lambda ins, outs, attrs: 3.0 * prod(ins[0].shape) + 40.0 * prod(outs[0].shape),
    doc="classes drawn from softmax(logits), by inversion of the running sums",
)
