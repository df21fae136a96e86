# SPDX-License-Identifier: Apache-2.0
"""Control flow on values: eager, traced, differentiated; NumPy is the oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, function, ops
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError, ShapeError
from fastnn.ops import control

RNG = np.random.default_rng(11)
X = RNG.standard_normal((5, 3))

MODES = {"eager": lambda f: f, "traced": function}


@pytest.fixture(params=MODES)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    return MODES[request.param]


def gradient(f: Callable[..., Any], *args: np.ndarray) -> list[np.ndarray]:
    """Central differences of the sum of f in float64."""
    found = []
    for k, x in enumerate(args):
        g = np.zeros_like(x)
        for at in np.ndindex(x.shape):
            step = np.zeros_like(x)
            step[at] = 1e-6
            up, down = (
                float(np.sum(f(*args[:k], x + s, *args[k + 1 :])))
                for s in (step, -step)
            )
            g[at] = (up - down) / 2e-6
        found.append(g)
    return found


def with_gradient(f: Callable[..., Any], count: int) -> Callable[..., Any]:
    """f, and the gradients of its sum with respect to its first arguments."""

    def both(*args: Any) -> Any:
        with GradientTape() as tape:
            tape.watch(list(args[:count]))
            y = ops.sum(f(*args))
        return y, tape.gradient(y, list(args[:count]))

    return both


class TestCond:
    @pytest.mark.parametrize("flag", [True, False])
    @pytest.mark.feature("1D-38b")
    def test_one_branch_runs_and_is_differentiated(self, run: Any, flag: bool) -> None:
        def f(x: Any, p: Any) -> Any:
            return ops.cond(p, lambda: ops.exp(x) * x, lambda: ops.sin(x))

        def oracle(x: np.ndarray) -> np.ndarray:
            return np.exp(x) * x if flag else np.sin(x)

        x, p = Tensor(X), convert_to_tensor(np.array(flag))
        y, (g,) = run(with_gradient(f, 1))(x, p)
        np.testing.assert_allclose(float(y), oracle(X).sum(), rtol=1e-12)
        np.testing.assert_allclose(g.numpy(), gradient(oracle, X)[0], rtol=1e-7)

    def test_what_is_not_taken_is_not_computed(self, run: Any) -> None:
        """`where` would give the gradient 0 * inf = NaN here."""

        def f(x: Any) -> Any:
            return ops.cond(ops.sum(x) > 0, lambda: ops.sqrt(x), lambda: x)

        y, (g,) = run(with_gradient(f, 1))(Tensor(np.zeros(2)))
        assert float(y) == 0.0
        np.testing.assert_array_equal(g.numpy(), [1.0, 1.0])

    def test_second_order(self, run: Any) -> None:
        def hessian(x: Any, p: Any) -> Any:
            with GradientTape() as outer:
                outer.watch(x)
                with GradientTape() as inner:
                    inner.watch(x)
                    y = ops.cond(p > 0, lambda: x * x * x, lambda: ops.exp(2 * x))
                first = inner.gradient(y, x)
            return outer.gradient(first, x)

        for p, expected in ((1.0, 6 * X), (-1.0, 4 * np.exp(2 * X))):
            found = run(hessian)(Tensor(X), convert_to_tensor(p))
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)

    def test_variables_are_read_assigned_and_differentiated(self, run: Any) -> None:
        w, hits = Variable(3.0), Variable(0)

        def grow(x: Any) -> Any:
            hits.assign_add(1)
            return x * w

        def f(x: Any) -> Any:
            with GradientTape() as tape:
                y = ops.cond(x > 0, lambda: grow(x), lambda: -x)
            return y, tape.gradient(y, w, unconnected_gradients="zero")

        g = run(f)
        y, dw = g(convert_to_tensor(2.0))
        assert (float(y), float(dw), int(hits)) == (6.0, 2.0, 1)
        w.assign(5.0)
        y, dw = g(convert_to_tensor(2.0))
        assert (float(y), float(dw), int(hits)) == (10.0, 2.0, 2)
        y, dw = g(convert_to_tensor(-2.0))
        assert (float(y), float(dw), int(hits)) == (2.0, 0.0, 2)

    def test_structures_and_nesting(self, run: Any) -> None:
        def f(x: Any) -> Any:
            small = lambda: {"a": x, "b": (x + 1, None)}  # noqa: E731
            large = lambda: {"a": -x, "b": (x * 2, None)}  # noqa: E731
            return ops.cond(
                x < 1, small, lambda: ops.cond(x > 10, large, lambda: small())
            )

        for x, a, b in ((0.0, 0.0, 1.0), (5.0, 5.0, 6.0), (20.0, -20.0, 40.0)):
            found = run(f)(convert_to_tensor(x))
            assert float(found["a"]) == a and float(found["b"][0]) == b
            assert found["b"][1] is None

    def test_a_variable_decides_when_the_function_runs(self) -> None:
        flag = Variable(True, dtype="bool")
        f = function(lambda: ops.cond(flag, lambda: 1, lambda: 2))
        assert int(f()) == 1
        flag.assign(False)
        assert int(f()) == 2

    def test_branches_must_agree(self) -> None:
        x = convert_to_tensor(1.0)
        for other, error in (
            (lambda: ops.zeros((2,)), ShapeError),
            (lambda: ops.zeros((), "int32"), DTypeError),
            (lambda: (x, x), ValueError),
        ):
            f = function(lambda p, g=other: ops.cond(p > 0, lambda: p * 1.0, g))
            with pytest.raises(error, match=r"\[cond\]"):
                f(x)
        with pytest.raises(ShapeError, match="one element"):
            ops.cond(ops.zeros((2,)), lambda: 1, lambda: 2)


class TestSwitch:
    @pytest.mark.parametrize(
        ("index", "taken"), [(-3, 0), (0, 0), (1, 1), (2, 2), (9, 2)]
    )
    def test_the_index_is_clamped(self, run: Any, index: int, taken: int) -> None:
        branches = [lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - y]

        def f(x: Any, y: Any, i: Any) -> Any:
            return ops.switch(i, branches, x, y)

        y, (dx, dy) = run(with_gradient(f, 2))(
            Tensor(X), Tensor(X + 1), Tensor(np.array(index))
        )
        expected = branches[taken](X, X + 1)
        np.testing.assert_allclose(float(y), expected.sum(), rtol=1e-12)
        for g, e in zip((dx, dy), gradient(branches[taken], X, X + 1), strict=True):
            np.testing.assert_allclose(g.numpy(), e, atol=1e-7)


class TestLoops:
    @pytest.mark.feature("1D-38b")
    def test_while_stops_when_the_values_say_so(self, run: Any) -> None:
        def f(n: Any) -> Any:
            return ops.while_loop(
                lambda a, k: a < n,
                lambda a, k: (a * 2, k + 1),
                (convert_to_tensor(1), convert_to_tensor(0)),
            )

        for n in (1, 5, 64, 1000):
            a, k = run(f)(convert_to_tensor(n))
            rounds = int(np.ceil(np.log2(n)))
            assert (int(a), int(k)) == (2**rounds, rounds)

    def test_maximum_iterations(self, run: Any) -> None:
        f = run(lambda x: ops.while_loop(lambda v: v < 100.0, lambda v: v + x, x, 3))
        assert float(f(convert_to_tensor(2.0))) == 8.0

    def test_gradient_through_a_loop_of_unknown_length(self, run: Any) -> None:
        """d/dx and d/dw of w^n x, n found by the loop."""
        w = Variable(np.array(1.5))

        def f(x: Any) -> Any:
            with GradientTape() as tape:
                tape.watch(x)
                y = ops.while_loop(lambda v: ops.sum(v) < 50.0, lambda v: v * w, x)
                y = ops.sum(y)
            return y, tape.gradient(y, [x, w])

        x = np.array([1.0, 2.0])
        y, (dx, dw) = run(f)(Tensor(x))
        n = int(np.ceil(np.log(50 / 3) / np.log(1.5)))
        np.testing.assert_allclose(float(y), 3 * 1.5**n, rtol=1e-12)
        np.testing.assert_allclose(dx.numpy(), [1.5**n] * 2, rtol=1e-12)
        np.testing.assert_allclose(float(dw), 3 * n * 1.5 ** (n - 1), rtol=1e-12)

    def test_the_body_assigns_a_variable_in_each_round(self, run: Any) -> None:
        total = Variable(0.0)

        def body(i: Any) -> Any:
            total.assign(total * 2 + 1)
            return i + 1

        f = run(lambda n: ops.while_loop(lambda i: i < n, body, convert_to_tensor(0)))
        assert int(f(convert_to_tensor(4))) == 4
        assert float(total) == 15.0

    def test_random_numbers_differ_from_round_to_round(self) -> None:
        seeds = fastnn.random.SeedGenerator(1)

        def step(carry: Any, _: Any) -> Any:
            return carry, fastnn.random.uniform((), seed=seeds)

        f = function(lambda x: ops.scan(step, x, length=control.UNROLLED + 1)[1])
        found = f(convert_to_tensor(0.0)).numpy()
        assert len(np.unique(found)) > 250

    def test_shapes_must_stay(self) -> None:
        f = function(
            lambda x: ops.while_loop(lambda v: ops.sum(v) < 9, lambda v: v[:1], x)
        )
        with pytest.raises(ShapeError, match="stay the same"):
            f(ops.ones((2,)))
        with pytest.raises(ValueError, match="1 loop"):
            ops.while_loop(lambda v: True, lambda v: (v, v), (1.0,), 3)

    @pytest.mark.parametrize("count", [0, 1, 7, control.UNROLLED + 5])
    def test_fori_loop(self, run: Any, count: int) -> None:
        def f(x: Any) -> Any:
            return ops.fori_loop(
                2, 2 + count, lambda i, v: v + ops.cast(i, "float64"), x
            )

        y, (g,) = run(with_gradient(f, 1))(Tensor(X))
        added = sum(range(2, 2 + count))
        np.testing.assert_allclose(float(y), (X + added).sum(), rtol=1e-12)
        np.testing.assert_array_equal(g.numpy(), np.ones_like(X))

    def test_fori_loop_with_bounds_from_tensors(self, run: Any) -> None:
        f = run(lambda n: ops.fori_loop(0, n, lambda i, v: v + i, convert_to_tensor(0)))
        assert [int(f(convert_to_tensor(n))) for n in (0, 1, 5)] == [0, 0, 10]

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("count", [1, 5, control.UNROLLED + 3])
    def test_scan(self, run: Any, count: int, reverse: bool) -> None:
        xs = np.random.default_rng(count).uniform(0.5, 1.0, (count, 2))

        def step(carry: Any, x: Any) -> Any:
            carry = 0.9 * carry + x
            return carry, carry * x

        def oracle(init: np.ndarray, xs: np.ndarray) -> np.ndarray:
            ys, carry = np.zeros_like(xs), init
            for i in range(count)[:: -1 if reverse else 1]:
                carry = 0.9 * carry + xs[i]
                ys[i] = carry * xs[i]
            return np.concatenate([carry[None], ys])

        def f(init: Any, xs: Any) -> Any:
            carry, ys = ops.scan(step, init, xs, reverse=reverse)
            return ops.concatenate([ops.expand_dims(carry, 0), ys], axis=0)

        init = np.array([0.1, 0.2])
        np.testing.assert_allclose(
            run(f)(Tensor(init), Tensor(xs)).numpy(), oracle(init, xs), rtol=1e-12
        )
        _, grads = run(with_gradient(f, 2))(Tensor(init), Tensor(xs))
        for g, e in zip(grads, gradient(oracle, init, xs), strict=True):
            np.testing.assert_allclose(g.numpy(), e, rtol=1e-5, atol=1e-6)

    def test_scan_over_structures_and_over_nothing(self, run: Any) -> None:
        def step(carry: Any, x: Any) -> Any:
            return carry + x["a"] * x["b"], None

        xs = {"a": np.arange(4.0), "b": np.arange(4.0)}
        carry, ys = run(
            lambda a, b: ops.scan(step, Tensor(np.zeros(())), {"a": a, "b": b})
        )(Tensor(xs["a"]), Tensor(xs["b"]))
        assert float(carry) == 14.0 and ys is None
        with pytest.raises(ShapeError, match="how many"):
            ops.scan(lambda c, x: (c, x), 0.0)
        with pytest.raises(ShapeError, match="one length"):
            ops.scan(step, 0.0, {"a": np.zeros(3), "b": np.zeros(4)})

    def test_second_order_through_an_unrolled_scan(self, run: Any) -> None:
        def second(x: Any) -> Any:
            with GradientTape() as outer:
                outer.watch(x)
                with GradientTape() as inner:
                    inner.watch(x)
                    y = ops.fori_loop(0, 3, lambda i, v: v * x, x)
                first = inner.gradient(y, x)
            return outer.gradient(first, x)

        found = run(second)(convert_to_tensor(2.0))
        assert float(found) == 12 * 2.0**2  # (x^4)''

    def test_second_order_through_a_loop_inside_a_function(self) -> None:
        @function
        def second(x: Any) -> Any:
            with GradientTape() as outer:
                outer.watch(x)
                with GradientTape() as inner:
                    inner.watch(x)
                    y = ops.while_loop(lambda v: v < 9.0, lambda v: v * x, x)
                first = inner.gradient(y, x)
            return outer.gradient(first, x)

        # y = x^4 from 2 on: 2, 4, 8, 16.
        assert float(second(convert_to_tensor(2.0))) == 12 * 2.0**2


class TestMaps:
    @pytest.mark.parametrize("name", ["map", "vectorized_map"])
    def test_rows_one_by_one(self, run: Any, name: str) -> None:
        def f(x: Any, y: Any) -> Any:
            return getattr(ops, name)(lambda r: ops.sum(r[0] * r[1]) * r[0], (x, y))

        def oracle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            return (x * y).sum(1, keepdims=True) * x

        found = run(f)(Tensor(X), Tensor(X + 1)).numpy()
        np.testing.assert_allclose(found, oracle(X, X + 1), rtol=1e-12)
        _, grads = run(with_gradient(f, 2))(Tensor(X), Tensor(X + 1))
        for g, e in zip(grads, gradient(oracle, X, X + 1), strict=True):
            np.testing.assert_allclose(g.numpy(), e, rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 33])
    def test_associative_scan(self, run: Any, count: int, reverse: bool) -> None:
        x = np.random.default_rng(count).standard_normal((2, count, 3))
        f = run(lambda x: ops.associative_scan(ops.add, x, reverse=reverse, axis=1))
        found = f(Tensor(x)).numpy()
        flip = x[:, ::-1] if reverse else x
        expected = np.cumsum(flip, axis=1)
        expected = expected[:, ::-1] if reverse else expected
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)

    def test_associative_scan_of_a_function_that_does_not_commute(self) -> None:
        matrices = np.random.default_rng(3).standard_normal((9, 2, 2))
        found = ops.associative_scan(ops.matmul, Tensor(matrices)).numpy()
        product = np.eye(2)
        for i, m in enumerate(matrices):
            product = product @ m
            np.testing.assert_allclose(found[i], product, rtol=1e-10)


def test_branches_and_loops_of_the_same_operands_stay_apart() -> None:
    @function
    def f(x: Any) -> Any:
        return (
            ops.cond(x > 0, lambda: x + 1, lambda: x),
            ops.cond(x > 0, lambda: x * 5, lambda: x),
            ops.while_loop(lambda a: a < 10, lambda a: (a * 2,), (x,))[0],
            ops.while_loop(lambda a: a < 10, lambda a: (a * 3,), (x,))[0],
        )

    assert [float(v) for v in f(convert_to_tensor(2.0))] == [3.0, 10.0, 16.0, 18.0]
