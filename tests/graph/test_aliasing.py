# SPDX-License-Identifier: Apache-2.0
"""Values that share memory: variables that trade places, views of what is overwritten.

Large enough that no kernel hides a mistake in a buffer of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import Variable, _core, ops, tree
from fastnn.autodiff import raw

N = 64
Fn = Callable[..., Any]


def swap(a: Variable, b: Variable) -> None:
    old = a.value
    a.assign(b)
    b.assign(old)


def rotate(a: Variable, b: Variable, c: Variable) -> None:
    old = a.value
    a.assign(b)
    b.assign(c)
    c.assign(old)


def reverse(a: Variable) -> None:
    a.assign(a[::-1])


def follow(a: Variable, b: Variable) -> None:
    a.assign(b.value)
    b.assign(b * 2.0)


def reshape_then_double(a: Variable, b: Variable) -> None:
    b.assign(ops.reshape(a, (N, N)))
    a.assign(a * 2.0)


def return_the_old(a: Variable) -> Any:
    old = a.value
    a.assign(a * 2.0)
    return old


def return_a_view_of_the_old(a: Variable) -> Any:
    old = ops.transpose(a)
    a.assign(a * 2.0)
    return old


def return_the_new(a: Variable) -> Any:
    a.assign(a * 2.0)
    return ops.transpose(a)


def add_own_transpose(a: Variable) -> None:
    a.assign(a + ops.transpose(a))


def overwrite_beside_a_view(a: Variable) -> Any:
    t = a * 2.0
    return t + ops.transpose(t)


def overwrite_beside_a_row(a: Variable) -> Any:
    t = a * 2.0
    return t + t[0:1]


def overwrite_beside_the_reverse(a: Variable) -> Any:
    t = a * 2.0
    return t - t[::-1]


def one_value_for_two(a: Variable, b: Variable) -> None:
    v = a * b
    a.assign(v)
    b.assign(v)


def several_times(a: Variable, b: Variable) -> None:
    a.assign(a + b)
    b.assign(a - b)
    a.assign(a * 0.5)


def delay(a: Variable, b: Variable) -> Any:
    old = a.value
    a.assign(b * 3.0)
    return old * 1.0


PROGRAMS = [
    (swap, 2),
    (rotate, 3),
    (reverse, 1),
    (follow, 2),
    (reshape_then_double, 2),
    (return_the_old, 1),
    (return_a_view_of_the_old, 1),
    (return_the_new, 1),
    (add_own_transpose, 1),
    (overwrite_beside_a_view, 1),
    (overwrite_beside_a_row, 1),
    (overwrite_beside_the_reverse, 1),
    (one_value_for_two, 2),
    (several_times, 2),
    (delay, 2),
]


@pytest.mark.parametrize(("program", "count"), PROGRAMS, ids=lambda p: str(p))
def test_plan_means_what_eager_does(program: Fn, count: int) -> None:
    rng = np.random.default_rng(0)
    start = [rng.normal(size=(N, N)).astype("f") for _ in range(count)]
    planned, eager = [Variable(s) for s in start], [Variable(s) for s in start]
    step = fastnn.function(lambda: program(*planned))
    for _ in range(3):
        ours, theirs = tree.flatten(step()), tree.flatten(program(*eager))
        for a, b in zip(ours, theirs, strict=True):
            if a is not None:
                np.testing.assert_array_equal(a.numpy(), b.numpy())
        for a, b in zip(planned, eager, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_views_of_a_variable_taken_before_a_plan_keep_their_values() -> None:
    v = Variable(np.arange(6.0, dtype="f").reshape(2, 3))
    views = [v[0], v[:, ::2], ops.reshape(v, (6,)), ops.transpose(v), *list(v)]
    before = [t.numpy() for t in views]

    @fastnn.function
    def double() -> None:
        v.assign(v * 2.0)

    double()
    for t, old in zip(views, before, strict=True):
        np.testing.assert_array_equal(t.numpy(), old)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("kind", ["softmax of one row", "batch by broadcast"])
def test_no_thread_reads_rows_of_another_without_a_barrier(
    kind: str, threads: int
) -> None:
    before = _core.num_threads()
    _core.set_num_threads(threads)
    rng = np.random.default_rng(1)
    try:
        if kind == "softmax of one row":
            x = rng.normal(size=200_000).astype("f")

            def program(t: Any) -> Any:
                return ops.softmax(t * 1.5) * 2.0

        else:
            x = rng.normal(size=(64, 256)).astype("f")
            w = fastnn.convert_to_tensor(rng.normal(size=(64, 256, 32)).astype("f"))

            def program(t: Any) -> Any:
                return raw.matmul(raw.exp(t), w)

        expected = program(fastnn.convert_to_tensor(x)).numpy()
        step = fastnn.function(program)
        for _ in range(20):
            np.testing.assert_array_equal(step(x).numpy(), expected)
    finally:
        _core.set_num_threads(before)
