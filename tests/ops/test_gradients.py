# SPDX-License-Identifier: Apache-2.0
"""First and second derivatives against central differences in float64.

Directional: along a random direction d, <gradient, d> must equal
(f(x + h d) - f(x - h d)) / 2h. The second order differentiates <gradient, d> again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_cases import DIFFERENTIABLE, OPS, samples

from fastnn.autodiff import raw
from fastnn.autodiff._tape import apply
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor

STEP = 1e-6
Arrays = list[np.ndarray]


def _scalar(op: Any, tensors: list[Tensor], attrs: tuple, weights: Arrays) -> Tensor:
    """sum over outputs of weights * output: one number that sees every element."""
    result = apply(op, tuple(tensors), attrs)
    outputs = result if isinstance(result, tuple) else (result,)
    total = None
    for y, w in zip(outputs, weights, strict=True):
        if y.dtype != "float64":
            continue
        part = raw.sum(raw.multiply(y, Tensor(w)), tuple(range(y.ndim)), False)
        total = part if total is None else raw.add(total, part)
    assert total is not None
    return total


def _difference(f: Callable[[Arrays], float], xs: Arrays, ds: Arrays) -> float:
    up = f([np.asarray(x + STEP * d) for x, d in zip(xs, ds, strict=True)])
    down = f([np.asarray(x - STEP * d) for x, d in zip(xs, ds, strict=True)])
    return (up - down) / (2 * STEP)


def _spread(a: np.ndarray) -> np.ndarray:
    """The same values as every other element of a larger array, backwards."""
    if a.ndim == 0:
        return a
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1] + 1), a.dtype)
    view = wide[..., 1::2][..., ::-1][..., : a.shape[-1]]
    view[...] = a
    return view


def _drawn(op: Any) -> Any:
    """Every sample, three draws of it; of the last the floats are not contiguous."""
    for seed in range(3):
        for sample in samples(op, "float64", seed):
            inputs = sample.inputs
            if seed == 2:
                inputs = tuple(
                    _spread(a) if a.dtype == np.float64 else a for a in inputs
                )
            yield sample._replace(inputs=inputs)


def _setup(name: str) -> Any:
    op = OPS[name]
    rng = np.random.default_rng(7)
    for sample in _drawn(op):
        index = [i for i, a in enumerate(sample.inputs) if a.dtype == np.float64]
        if not index:
            continue
        xs = [sample.inputs[i] for i in index]
        specs = [Tensor(a) for a in sample.inputs]
        result = apply(op, tuple(specs), sample.attrs)
        outputs = result if isinstance(result, tuple) else (result,)
        weights = [np.asarray(rng.normal(size=y.shape)) for y in outputs]
        if not any(y.dtype == "float64" for y in outputs):
            continue
        ds = [np.asarray(rng.normal(size=x.shape)) for x in xs]

        def whole(values: Any, s: Any = sample, i: Any = index) -> list[Tensor]:
            every = [Tensor(a) for a in s.inputs]
            for k, v in zip(i, values, strict=True):
                every[k] = v
            return every

        yield op, sample.attrs, xs, ds, weights, whole


def _along(grads: list[Any], ds: Arrays) -> Tensor | None:
    total = None
    for g, d in zip(grads, ds, strict=True):
        if g is None:
            continue
        part = raw.sum(raw.multiply(g, Tensor(d)), tuple(range(g.ndim)), False)
        total = part if total is None else raw.add(total, part)
    return total


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_first_order(name: str, gradient_case: Any) -> None:
    checked = 0
    for op, attrs, xs, ds, weights, whole in _setup(name):
        tensors = [Tensor(x) for x in xs]
        with GradientTape() as tape:
            tape.watch(tensors)
            y = _scalar(op, whole(tensors), attrs, weights)
        grads = tape.gradient(y, tensors)
        for g, x in zip(grads, xs, strict=True):
            assert g is None or g.shape == x.shape
        along = _along(grads, ds)
        actual = 0.0 if along is None else float(along)

        def f(values: Arrays, op=op, attrs=attrs, w=weights, whole=whole) -> float:
            return float(_scalar(op, whole([Tensor(v) for v in values]), attrs, w))

        expected = _difference(f, xs, ds)
        scale = 1 + abs(expected)
        assert abs(actual - expected) < 2e-7 * scale, (attrs, [x.shape for x in xs])
        gradient_case(1)
        checked += 1
    assert checked


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_second_order(name: str, gradient_case: Any) -> None:
    checked = 0
    for op, attrs, xs, ds, weights, whole in _setup(name):
        rng = np.random.default_rng(11)
        d2 = [np.asarray(rng.normal(size=x.shape)) for x in xs]

        def slope(values: list[Tensor], op=op, attrs=attrs, w=weights, ds=ds, wh=whole):
            with GradientTape() as inner:
                inner.watch(values)
                y = _scalar(op, wh(values), attrs, w)
            return _along(inner.gradient(y, values), ds)

        tensors = [Tensor(x) for x in xs]
        with GradientTape() as outer:
            outer.watch(tensors)
            first = slope(tensors)
        actual = 0.0
        if first is not None:
            along = _along(outer.gradient(first, tensors), d2)
            actual = 0.0 if along is None else float(along)

        def f(values: Arrays, slope=slope) -> float:
            result = slope([Tensor(v) for v in values])
            return 0.0 if result is None else float(result)

        expected = _difference(f, xs, d2)
        scale = 1 + abs(expected)
        assert abs(actual - expected) < 1e-6 * scale, (attrs, [x.shape for x in xs])
        gradient_case(2)
        checked += 1
    assert checked


@pytest.mark.parametrize("select", ["maximum", "where", "max"])
def test_what_was_not_selected_has_gradient_zero_under_an_infinite_slope(
    select: str,
) -> None:
    x = Tensor(np.array([-1.0, 4.0]))
    with GradientTape() as tape:
        tape.watch(x)
        chosen = {
            "maximum": lambda: raw.maximum(x, 0.0),
            "where": lambda: raw.where(raw.greater(x, 0.0), x, 0.0),
            "max": lambda: raw.subtract(raw.max(x, (0,), False), 4.0),
        }[select]()
        y = raw.sqrt(chosen)  # its slope at 0 is inf
    expected = [0.0, np.inf] if select == "max" else [0.0, 0.25]
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), expected)


def test_a_power_of_zero_is_constant_also_at_zero() -> None:
    x = Tensor(np.array([0.0, 2.0]))
    with GradientTape() as tape:
        tape.watch(x)
        y = x**0
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), [0.0, 0.0])


def test_a_product_of_infinities_has_a_slope() -> None:
    x = Tensor(np.array([np.inf, 2.0]))
    with GradientTape() as tape:
        tape.watch(x)
        y = raw.prod(x, (0,), False)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), [np.nan, np.inf])


def test_the_remainder_has_the_slopes_of_x1_minus_whole_x2() -> None:
    x1, x2 = Tensor(np.array([5.0, -2.0])), Tensor(np.array(3.0))
    with GradientTape() as tape:
        tape.watch([x1, x2])
        y = x1 % x2
    g1, g2 = tape.gradient(y, [x1, x2])
    np.testing.assert_array_equal(g1.numpy(), [1.0, 1.0])
    assert float(g2) == 0.0  # -floor(5 / 3) - floor(-2 / 3)
