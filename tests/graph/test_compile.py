# SPDX-License-Identifier: Apache-2.0
"""`function`: tracing, caching, variables, and what it says when it cannot plan."""

from __future__ import annotations

import inspect

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


def test_condition_that_cannot_be_rewritten_says_the_line() -> None:
    @fastnn.function
    def f(x):
        try:
            if ops.sum(x) > 0:  # this very line
                return x
        finally:
            pass
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


@pytest.mark.parametrize(
    "read", [float, int, bool, np.asarray, Variable.numpy, Variable.item]
)
def test_reading_a_variable_while_tracing_says_the_line(read) -> None:
    v = Variable(2.0)

    @fastnn.function
    def f(x):
        return x * read(v)  # would be built in for ever

    with pytest.raises(PlanError, match=r"test_compile.py:\d+"):
        f(np.ones(2, "f"))
    assert float(v) == 2.0


def test_variables_as_arguments_are_told_apart_for_ever() -> None:
    import gc

    @fastnn.function
    def scale(v, x):
        return x * float(v.shape[0])

    sizes = []
    for n in range(2, 8):
        v = Variable(np.zeros(n, "f"))
        sizes.append(float(scale(v, np.ones((), "f"))))
        del v
        gc.collect()  # the next variable may live at the same address
    assert sizes == [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def test_python_floats_are_told_apart_by_their_bits() -> None:
    traces = []

    @fastnn.function
    def divide(x, c):
        traces.append(c)
        return 1.0 / (x * c)

    x = np.ones((), "f")
    assert float(divide(x, 0.0)) == np.inf
    assert float(divide(x, -0.0)) == -np.inf
    for _ in range(3):
        assert np.isnan(float(divide(x, float("nan"))))
    assert len(traces) == 3


def test_settings_built_into_a_plan_are_part_of_its_key() -> None:
    from fastnn import config

    @fastnn.function
    def f(n):
        return ops.zeros((n,)) + config.epsilon()

    assert f(2).dtype == "float32"
    before = config.epsilon()
    config.set_floatx("float64")
    config.set_epsilon(0.5)
    try:
        assert f(2).dtype == "float64"
        assert f(2).numpy()[0] == 0.5
    finally:
        config.set_floatx("float32")
        config.set_epsilon(before)


@pytest.mark.parametrize("dtype", [">f4", "<f4", "float16", "longdouble", ">i4"])
def test_arrays_of_any_byte_order_and_width_are_read_right(dtype: str) -> None:
    x = np.array([1, 2, 3], dtype)
    expected = np.array([2, 3, 4])
    y = fastnn.function(lambda x: x + 1)(x)
    np.testing.assert_array_equal(y.numpy(), expected)
    np.testing.assert_array_equal((fastnn.convert_to_tensor(x) + 1).numpy(), expected)
    np.testing.assert_array_equal(ops.add(x, 1).numpy(), expected)
    beside = fastnn.convert_to_tensor(np.ones(3, y.dtype))
    np.testing.assert_array_equal((beside + x).numpy(), expected)
    v = Variable(x)
    v.assign(x + x)
    np.testing.assert_array_equal(v.numpy(), 2 * expected - 2)


def test_methods_do_not_keep_their_instance_alive() -> None:
    import gc
    import weakref

    traces = []

    class Model:
        @fastnn.function
        def call(self, x):
            traces.append(1)
            return x + 1.0

    model = Model()
    x = np.ones(2, "f")
    model.call(x)
    model.call(x)
    assert len(traces) == 1
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


def test_an_unused_tensor_argument_is_fine() -> None:
    @fastnn.function
    def first(x, unused):
        return x + 1.0

    for n in (2, 5):
        y = first(np.ones(2, "f"), fastnn.convert_to_tensor(np.ones((n, 3), "f")))
        np.testing.assert_array_equal(y.numpy(), [2.0, 2.0])
    nothing = fastnn.function(lambda unused: fastnn.convert_to_tensor(7.0))
    assert float(nothing(np.ones(3, "f"))) == 7.0


def test_a_view_of_a_large_constant_can_be_returned() -> None:
    @fastnn.function
    def f(x):
        column = ops.reshape(ops.arange(300, dtype="float32"), (300, 1))
        return ops.broadcast_to(column, (300, 200)), x * 2.0

    wide, _ = f(np.ones(3, "f"))
    expected = np.broadcast_to(np.arange(300, dtype="f")[:, None], (300, 200))
    np.testing.assert_array_equal(wide.numpy(), expected)


def test_denormals_are_zero_in_a_plan_and_kept_outside() -> None:
    """A velocity that nobody feeds any more would else make every step slower."""
    tiny = fastnn.convert_to_tensor(np.full(1000, 1e-39, "f"))
    half = fastnn.convert_to_tensor(np.full(1000, 0.5, "f"))

    def f(v, h):
        return v * h, h * 1.2e-38 * h

    operands, results = fastnn.function(f)(tiny, half)
    assert not operands.numpy().any()
    assert not results.numpy().any()
    assert f(tiny, half)[0].numpy().all()
    assert (tiny.numpy() * np.float32(0.5)).all()  # the caller's thread is as it was


def test_errors_of_numpys_functions_name_the_users_line() -> None:
    @fastnn.function
    def f(x):
        return np.mean(x)  # the line

    with pytest.raises(PlanError) as caught:
        f(ops.convert_to_tensor([1.0]))
    lines, first = inspect.getsourcelines(f.python_function)
    line = first + next(i for i, text in enumerate(lines) if "# the line" in text)
    assert f"test_compile.py:{line} " in str(caught.value)


def test_a_branch_stands_where_its_if_begins() -> None:
    @fastnn.function
    def f(x):
        if x > 0:  # the line
            return x * 2.0

        return -x

    (node,) = [
        n for n in f.graph(ops.convert_to_tensor(1.0)).nodes if n.op.name == "if"
    ]
    lines, first = inspect.getsourcelines(f.python_function)
    line = first + next(i for i, text in enumerate(lines) if "# the line" in text)
    assert node.where.endswith(f"test_compile.py:{line}")
