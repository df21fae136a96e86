# SPDX-License-Identifier: Apache-2.0
"""`function`: tracing, caching, variables, and what it says when it cannot plan."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import Variable, ops
from fastnn.errors import PlanError


def test_one_trace_per_signature_and_python_value() -> None:
    traces = []

    @fastnn.function
    def cube(x, bias=0):
        traces.append(x.shape)
        return x**3 + bias

    a = np.array([1.0, 2.0], "f")
    np.testing.assert_array_equal(cube(a).numpy(), [1.0, 8.0])
    np.testing.assert_array_equal(cube(a + 1).numpy(), [8.0, 27.0])
    assert len(traces) == 1
    cube(np.ones(3, "f"))
    assert len(traces) == 2
    cube(a, bias=1)
    cube(a, bias=1)
    assert len(traces) == 3
    assert cube.python_function(fastnn.convert_to_tensor(2.0)).numpy() == 8.0


def test_updates_of_variables_happen_at_every_call() -> None:
    total = Variable(0.0)

    @fastnn.function
    def accumulate(x):
        total.assign_add(ops.sum(x))
        return total * 2.0

    assert float(accumulate(np.ones(4, "f"))) == 8.0
    assert float(accumulate(np.ones(4, "f"))) == 16.0
    assert float(total) == 8.0


def test_old_value_read_after_the_update_is_the_new_one() -> None:
    v, w = Variable([1.0, 2.0]), Variable([0.0, 0.0])

    @fastnn.function
    def swap_and_scale():
        old = v.value
        v.assign(w + 5.0)
        w.assign(old * 10.0)  # reads the value before the update
        return v + 0.0

    np.testing.assert_array_equal(swap_and_scale().numpy(), [5.0, 5.0])
    np.testing.assert_array_equal(w.numpy(), [10.0, 20.0])
    np.testing.assert_array_equal(swap_and_scale().numpy(), [15.0, 25.0])
    np.testing.assert_array_equal(w.numpy(), [50.0, 50.0])


def test_a_tensor_taken_before_a_plan_is_not_changed_by_it() -> None:
    v = Variable([1.0, 2.0])

    @fastnn.function
    def double():
        v.assign(v * 2.0)

    before = v.value
    double()
    np.testing.assert_array_equal(before.numpy(), [1.0, 2.0])
    np.testing.assert_array_equal(v.numpy(), [2.0, 4.0])


def test_structures_in_and_out() -> None:
    @fastnn.function
    def f(inputs):
        return {
            "sum": inputs["a"] + inputs["b"],
            "none": None,
            "pair": (inputs["a"], 1),
        }

    out = f({"a": np.ones(2, "f"), "b": np.ones(2, "f")})
    np.testing.assert_array_equal(out["sum"].numpy(), [2.0, 2.0])
    assert out["none"] is None
    np.testing.assert_array_equal(out["pair"][0].numpy(), [1.0, 1.0])
    assert int(out["pair"][1]) == 1


def test_gradients_inside_and_through() -> None:
    w = Variable([1.0, 2.0])

    @fastnn.function
    def step(x):
        with fastnn.GradientTape() as tape:
            loss = ops.sum(ops.square(w * x))
        return tape.gradient(loss, w)

    np.testing.assert_allclose(step(np.array([3.0, 4.0], "f")).numpy(), [18.0, 64.0])

    @fastnn.function
    def square(x):
        return x * x

    with fastnn.GradientTape() as tape:
        y = square(w)
    np.testing.assert_array_equal(tape.gradient(y, w).numpy(), [2.0, 4.0])


def test_condition_on_a_value_says_the_line() -> None:
    @fastnn.function
    def f(x):
        if ops.sum(x) > 0:  # this very line
            return x
        return -x

    with pytest.raises(PlanError, match=r"test_compile.py:\d+.*ops.where"):
        f(np.ones(3, "f"))


def test_numpy_inside_says_the_line() -> None:
    @fastnn.function
    def f(x):
        return x + np.sum(x.numpy())

    with pytest.raises(PlanError, match=r"numpy\(\).*test_compile.py"):
        f(np.ones(3, "f"))


def test_variables_only_on_the_first_call() -> None:
    @fastnn.function
    def f(x):
        return x * Variable(2.0)

    f(np.ones(2, "f"))
    with pytest.raises(PlanError, match="creates a variable"):
        f(np.ones(3, "f"))


def test_methods_bind_their_instance() -> None:
    class Scaler:
        def __init__(self, factor):
            self.factor = factor

        @fastnn.function
        def __call__(self, x):
            return x * self.factor

    a, b = Scaler(2.0), Scaler(3.0)
    assert float(a(np.float32(1) * np.ones((), "f"))) == 2.0
    assert float(b(np.ones((), "f"))) == 3.0


def test_reference_backend_runs_the_same_graph() -> None:
    from fastnn import config

    v = Variable(1.0)

    @fastnn.function
    def f(x):
        v.assign_add(1.0)
        return ops.softmax(x) * v

    x = np.array([[1.0, 2.0, 3.0]], "f")
    native = f(x).numpy()
    config.set_backend("reference")
    try:
        slow = f(x).numpy()
    finally:
        config.set_backend("cpu")
    np.testing.assert_allclose(slow, native * 1.5, rtol=1e-6)
    assert float(v) == 3.0
