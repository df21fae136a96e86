# SPDX-License-Identifier: Apache-2.0
"""The rows of composite_cases: values, gradients, traces and symbolic shapes."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import composite_cases
import image_cases
import nn_cases
import numpy as np
import pytest
from composite_cases import Case

import fastnn
from fastnn import ops
from fastnn.autodiff import raw
from fastnn.autodiff.tensor import Tensor

CASES = [*composite_cases.CASES, *nn_cases.CASES, *image_cases.CASES]
SHAPES = 20
STEP = 1e-6
ROWS = [pytest.param(case, id=f"{case.name}-{i}") for i, case in enumerate(CASES)]
NUMPYS = ROWS[: len(composite_cases.CASES)]
SMOOTH = [p for p, case in zip(ROWS, CASES, strict=True) if case.slopes]


def draws(case: Case, dtype: str, count: int) -> Iterator[tuple[list[Any], dict]]:
    rng = np.random.default_rng(zlib.crc32(f"{case.name}/{dtype}".encode()))
    for _ in range(count):
        arrays = case.make(rng, dtype)
        yield arrays, case.options(rng, arrays)


def call(case: Case, values: Any, options: dict) -> list[Any]:
    y = case.call(attrgetter(case.name)(ops), values, options)
    return list(y) if isinstance(y, (tuple, list)) else [y]


def expected(case: Case, arrays: list[Any], options: dict) -> list[Any]:
    wide = [a.astype("float64") if a.dtype.kind == "f" else a for a in arrays]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of slices without a number
        y = case.call(case.oracle, wide, options)
    return list(y) if isinstance(y, (tuple, list)) else [y]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("case", ROWS)
def test_values_are_the_oracles(case: Case, dtype: str) -> None:
    if dtype not in case.dtypes:
        pytest.skip("not of this dtype")
    result = dtype if dtype != "int32" else case.of_ints or "int32"
    if case.of_ints == "int32":
        result = "int32"
    eps = np.finfo(result).eps * case.tol if result in ("float32", "float64") else 0
    for arrays, options in draws(case, dtype, SHAPES):
        actual, want = call(case, arrays, options), expected(case, arrays, options)
        message = f"{case.name} {[a.shape for a in arrays]} {options}"
        assert len(actual) == len(want), message
        for a, w in zip(actual, want, strict=True):
            assert a.dtype == result, message
            assert a.shape == np.shape(w), message
            scale = float(np.fmax.reduce(np.abs(w), axis=None, initial=1.0))
            np.testing.assert_allclose(
                a.numpy(), w, rtol=eps, atol=eps * scale, err_msg=message
            )


def _scalar(case: Case, values: Any, options: dict, weights: list[Any]) -> Tensor:
    parts = call(case, values, options)
    total = Tensor(np.zeros(()))
    for y, w in zip(parts, weights, strict=True):
        total = raw.add(total, ops.nansum(raw.multiply(y, Tensor(w))))
    return total


def _slope(f: Callable[[Any], Tensor], xs: list[Any], ds: list[Any]) -> Tensor:
    with fastnn.GradientTape() as tape:
        tape.watch(xs)
        y = f(xs)
    total = Tensor(np.zeros(()))
    for g, d in zip(tape.gradient(y, xs), ds, strict=True):
        if g is not None:
            total = raw.add(total, ops.sum(raw.multiply(g, Tensor(d))))
    return total


def _difference(f: Callable[[Any], Tensor], xs: list[Any], ds: list[Any]) -> float:
    up, down = (
        float(f([Tensor(x.numpy() + h * d) for x, d in zip(xs, ds, strict=True)]))
        for h in (STEP, -STEP)
    )
    return (up - down) / (2 * STEP)


@pytest.mark.parametrize("case", SMOOTH)
def test_gradients_of_both_orders_are_the_differences(
    case: Case, gradient_case: Any
) -> None:
    rng = np.random.default_rng(5)
    for arrays, options in draws(case, "float64", 8):
        xs = [Tensor(a) for a in arrays]
        weights = [rng.normal(size=y.shape) for y in call(case, xs, options)]
        d1, d2 = ([rng.normal(size=a.shape) for a in arrays] for _ in range(2))

        def value(v: Any, o: Any = options, w: Any = weights) -> Tensor:
            return _scalar(case, v, o, w)

        def slope(v: Any, value: Any = value, d: Any = d1) -> Tensor:
            return _slope(value, v, d)

        message = f"{case.name} {[a.shape for a in arrays]} {options}"
        first = _difference(value, xs, d1)
        assert float(slope(xs)) == pytest.approx(first, rel=1e-6, abs=1e-6), message
        second = _difference(slope, xs, d2)
        got = float(_slope(slope, xs, d2))
        assert got == pytest.approx(second, rel=1e-5, abs=1e-5), message
        gradient_case(1)
        gradient_case(2)


@pytest.mark.parametrize("case", ROWS)
def test_traced_calls_are_the_eager_ones(case: Case) -> None:
    for arrays, options in draws(case, case.dtypes[0], 4):
        want = call(case, arrays, options)

        @fastnn.function
        def traced(*values: Any, o: Any = options) -> Any:
            return tuple(call(case, values, o))

        for a, w in zip(traced(*map(Tensor, arrays)), want, strict=True):
            np.testing.assert_array_equal(a.numpy(), w.numpy())


@pytest.mark.parametrize("case", ROWS)
def test_symbolic_calls_have_the_shapes_of_eager_ones(case: Case) -> None:
    for arrays, options in draws(case, case.dtypes[0], 3):
        symbols = [fastnn.KerasTensor(a.shape, a.dtype.name) for a in arrays]
        made = call(case, symbols, options)
        for a, w in zip(made, call(case, arrays, options), strict=True):
            assert isinstance(a, fastnn.KerasTensor)
            assert (a.shape, a.dtype) == (w.shape, w.dtype)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 1.5, -1.0])
# What differs from the oracle where numbers are not finite, and why.
NOT_FINITE = {
    "correlate": "zeros around the vector are multiplied too",
}


@pytest.mark.parametrize("case", NUMPYS)
def test_special_values_are_the_oracles(case: Case) -> None:
    if case.name in NOT_FINITE:
        pytest.skip(NOT_FINITE[case.name])
    rng = np.random.default_rng(6)
    for arrays, options in draws(case, "float64", SHAPES):
        mixed = [
            np.where(rng.random(a.shape) < 0.4, rng.choice(SPECIAL, a.shape), a)
            for a in arrays
        ]
        try:
            want = expected(case, mixed, options)
        except ZeroDivisionError:  # of weights whose sum is 0
            continue
        for a, w in zip(call(case, mixed, options), want, strict=True):
            message = f"{case.name} {mixed} {options}"
            np.testing.assert_allclose(
                a.numpy(), w, rtol=1e-12, atol=1e-12, err_msg=message
            )


@pytest.mark.parametrize("case", NUMPYS)
def test_empty_tensors_are_the_oracles(case: Case) -> None:
    if case.name == "irfft":
        pytest.skip("NumPy returns memory that nobody wrote")
    for arrays, options in draws(case, "float64", 4):
        none = [a[:0] for a in arrays]
        try:
            want = expected(case, none, options)
        except (ValueError, ZeroDivisionError, IndexError):
            continue
        for a, w in zip(call(case, none, options), want, strict=True):
            np.testing.assert_array_equal(a.numpy(), w)
