# SPDX-License-Identifier: Apache-2.0
"""Counted loops of a traced function run as one native call; others round by round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, function, ops
from fastnn.autodiff.tensor import convert_to_tensor
from fastnn.graph import rounds


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rounds that ran natively."""
    seen: list[int] = []
    run = rounds.Rounds.__call__

    def counted(self: Any, arrays: Any, number: int) -> Any:
        seen.append(number)
        return run(self, arrays, number)

    monkeypatch.setattr(rounds.Rounds, "__call__", counted)
    return seen


def power(x: Any, n: Any) -> Any:
    y = x
    for _ in range(n):
        y = ops.tanh(y) * 1.5
    return y


def downwards(x: Any, n: Any) -> Any:
    y = x
    for i in range(n, 0, -2):
        y = ops.tanh(y) + ops.cast(i, "float32")
    return y


def fibonacci(x: Any, n: Any) -> Any:
    a, b = x, x + 1.0
    for _ in range(n):
        a, b = b, a + b
    return a


def with_while(x: Any, n: Any) -> Any:
    i = n * 0
    y = x
    while i < n:
        y = y * 0.5 + x
        i = i + 1
    return y


def by_fori(x: Any, n: Any) -> Any:
    return ops.fori_loop(0, n, lambda i, y: y + x * ops.cast(i, "float32"), x)


X = np.array([0.3, -1.2, 2.0], "float32")


@pytest.mark.parametrize(
    "program",
    [power, downwards, fibonacci, with_while, by_fori],
    ids=lambda f: f.__name__,
)
def test_a_counted_loop_is_one_call_with_the_eager_result(
    program: Any, calls: list[int]
) -> None:
    traced = function(program)
    x = convert_to_tensor(X)
    for n in (7, 2, 20):
        expected = program(x, n if program is not with_while else convert_to_tensor(n))
        got = traced(x, convert_to_tensor(n))
        np.testing.assert_array_equal(got.numpy(), expected.numpy())
    step = 2 if program is downwards else 1
    assert calls == [-(-n // step) for n in (7, 2, 20) if -(-n // step) > 1]
    for n in (0, -3, 1):
        want = program(x, n if program is not with_while else convert_to_tensor(n))
        np.testing.assert_array_equal(
            traced(x, convert_to_tensor(n)).numpy(), want.numpy()
        )


def test_what_a_value_decides_runs_round_by_round(calls: list[int]) -> None:
    @function
    def halve(x: Any) -> Any:
        n = 0
        while ops.max(x) > 1.0:
            x, n = x / 2.0, n + 1
        return x, n

    x, n = halve(convert_to_tensor([100.0, 3.0]))
    assert (int(n), float(x[0])) == (7, 100 / 128)
    assert calls == []


def test_a_loop_that_never_ends_is_not_counted() -> None:
    # The counter moves away from the bound: what stops it is the largest number.
    def run(x: Any) -> Any:
        return ops.while_loop(
            lambda i, y: ops.less(i, 3),
            lambda i, y: (i - 1, y + 1.0),
            (convert_to_tensor(0), x),
            maximum_iterations=5,
        )

    i, y = function(run)(convert_to_tensor(0.0))
    assert (int(i), float(y)) == (-5, 5.0)


def test_maximum_iterations(calls: list[int]) -> None:
    def run(x: Any, n: Any) -> Any:
        return ops.while_loop(
            lambda i, y: ops.less(i, n),
            lambda i, y: (i + 1, y + 1.0),
            (convert_to_tensor(0), x),
            maximum_iterations=5,
        )

    i, y = function(run)(convert_to_tensor(0.0), convert_to_tensor(9))
    assert (int(i), float(y)) == (5, 5.0)
    assert calls == [5]


def test_training_inside_a_function_is_the_eager_training(calls: list[int]) -> None:
    """The whole epoch is one call: rows of a tensor, tape, optimizer, metrics."""
    rng = np.random.default_rng(0)
    xs = convert_to_tensor(rng.standard_normal((40, 16, 8)).astype("float32"))
    ys = convert_to_tensor(rng.standard_normal((40, 16, 1)).astype("float32"))
    found = []
    for compiled in (False, True):
        shapes = ((8, 30), (30,), (30, 1), (1,))
        r = np.random.default_rng(1)
        weights = [
            Variable(r.standard_normal(s).astype("float32") * 0.3) for s in shapes
        ]
        total = Variable(0.0, trainable=False)
        optimizer = fastnn.optimizers.Adam(0.01)
        optimizer.build(weights)

        def step(x: Any, y: Any) -> None:
            with GradientTape() as tape:
                h = ops.relu(x @ weights[0] + weights[1])  # noqa: B023
                loss = ops.mean(ops.square(h @ weights[2] + weights[3] - y))  # noqa: B023
            grads = tape.gradient(loss, weights)  # noqa: B023
            optimizer.apply_gradients(zip(grads, weights, strict=True))  # noqa: B023
            total.assign_add(loss)  # noqa: B023

        def epoch(xs: Any, ys: Any, n: Any) -> None:
            for i in range(n):
                step(xs[i], ys[i])

        if compiled:
            function(epoch)(xs, ys, convert_to_tensor(40))
        else:
            epoch(xs, ys, 40)
        found.append([v.numpy() for v in (*weights, total, *optimizer.variables)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-6)
    assert calls == [40]


def test_gradients_flow_through_counted_loops() -> None:
    x = Variable(X)
    with GradientTape() as tape:
        y = ops.sum(power(x, 9))
    expected = tape.gradient(y, x)
    with GradientTape() as tape:
        y = ops.sum(function(power)(x, convert_to_tensor(9)))
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), expected.numpy(), rtol=1e-5)


@pytest.mark.parametrize("program", [power, with_while], ids=lambda f: f.__name__)
def test_second_order_through_a_traced_loop(program: Any) -> None:
    w = Variable(np.array([0.7, 1.1, -0.4]))

    def both(run: Any, n: Any) -> list[Any]:
        x = Variable(X.astype("float64"))
        with GradientTape() as outer:
            with GradientTape() as inner:
                y = ops.sum(run(x * w, n) * w)
            first = inner.gradient(y, [x, w])
            total = ops.sum(first[0] * first[0]) + ops.sum(first[1] * w)
        return [*first, *outer.gradient(total, [x, w])]

    for n in (4, 0):
        expected = both(program, convert_to_tensor(n) if program is with_while else n)
        found = both(function(program), convert_to_tensor(n))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


def test_the_third_order_says_what_to_do() -> None:
    x, f = Variable(X), function(power)
    with GradientTape() as third:
        with GradientTape() as second:
            with GradientTape() as first:
                y = ops.sum(f(x, convert_to_tensor(3)))
            g = first.gradient(y, x)
        h = second.gradient(g, x)
    with pytest.raises(NotImplementedError, match="fori_loop"):
        third.gradient(h, x)
