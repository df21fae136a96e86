# SPDX-License-Identifier: Apache-2.0
"""Traced functions under a tape, with signatures, in many threads and after a fork."""

import os
import threading
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, TensorSpec, Variable, function, ops
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import PlanError

# With FASTNN_LONG=1 all of what was promised: it takes minutes.
LONG = os.environ.get("FASTNN_LONG") == "1"
CALLS = 10_000 if LONG else 625  # of each of 16 threads
FORKS = 1_000 if LONG else 25
RNG = np.random.default_rng(4)
X = RNG.uniform(0.5, 1.5, (3, 4))


class TestUnderATape:
    def test_a_call_is_one_record_with_the_eager_gradient(self) -> None:
        w, b = Variable(RNG.standard_normal((4, 2))), Variable(np.zeros(2))
        traces = []

        def layer(x: Any) -> Any:
            traces.append(1)
            y = ops.tanh(x @ w + b)
            return {"y": y, "n": ops.sum(y * y)}

        def gradients(f: Any) -> Any:
            x = Tensor(X)
            with GradientTape() as tape:
                tape.watch(x)
                out = f(x)
                z = out["n"] + ops.sum(ops.exp(out["y"]))
            assert f is layer or len(tape._tape.records) < 5
            return tape.gradient(z, [x, w, b])

        traced, expected = function(layer), gradients(layer)
        for _ in range(3):
            for g, e in zip(gradients(traced), expected, strict=True):
                np.testing.assert_allclose(g.numpy(), e.numpy(), rtol=1e-12)
        assert len(traces) == 2, "one eager call, one trace"

    def test_only_what_is_watched_gets_a_gradient(self) -> None:
        w, frozen = Variable(2.0), Variable(3.0, trainable=False)
        f = function(lambda x, k: (x * w * frozen, k + 1))
        x = convert_to_tensor(5.0)
        with GradientTape() as tape:
            y, k = f(x, convert_to_tensor(1))
        assert int(k) == 2
        found = tape.gradient(y, [x, w, frozen])
        assert found[0] is None and found[2] is None
        assert float(found[1]) == 15.0

    def test_tensors_of_the_closure_that_a_tape_watches(self) -> None:
        a = convert_to_tensor(3.0)
        with GradientTape() as tape:
            tape.watch(a)
            y = function(lambda x: x * a * a)(convert_to_tensor(2.0))
        assert float(tape.gradient(y, a)) == 12.0

    def test_second_order_through_a_function(self) -> None:
        cube = function(lambda x: x * x * x)
        x = Variable(2.0)
        with GradientTape() as outer:
            with GradientTape() as inner:
                y = cube(x)
            first = inner.gradient(y, x)
        assert (float(first), float(outer.gradient(first, x))) == (12.0, 12.0)

    def test_functions_call_functions(self) -> None:
        double = function(lambda x: x * 2.0)
        f = function(lambda x: double(x) * x if x > 0 else double(x))
        for v, expected in ((3.0, 12.0), (-3.0, 2.0)):
            x = convert_to_tensor(v)
            with GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            assert float(tape.gradient(y, x)) == expected

    def test_variables_are_assigned_once_per_call(self) -> None:
        count, w = Variable(0), Variable(2.0)

        @function
        def f(x: Any) -> Any:
            count.assign_add(1)
            return x * w

        for i in range(1, 4):
            with GradientTape() as tape:
                y = f(convert_to_tensor(4.0))
            assert float(tape.gradient(y, w)) == 4.0
            assert int(count) == i

    def test_random_numbers_are_new_at_each_call(self) -> None:
        seeds = fastnn.random.SeedGenerator(3)
        f = function(lambda x: x + fastnn.random.uniform((4,), seed=seeds))
        found = []
        for _ in range(2):
            with GradientTape() as tape:
                x = Variable(np.zeros(4, "f"))
                found.append(f(x.value).numpy())
            assert tape is not None
        assert not np.array_equal(*found)

    def test_without_a_result(self) -> None:
        v = Variable(1.0)
        f = function(lambda x: [v.assign(x), None][1])
        with GradientTape():
            assert f(convert_to_tensor(7.0)) is None
        assert float(v) == 7.0

    def test_variables_are_created_on_the_first_call_only(self) -> None:
        f = function(lambda x: x * Variable(2.0))
        with GradientTape():
            f(convert_to_tensor(1.0))
            with pytest.raises(PlanError, match="first"):
                f(convert_to_tensor(np.ones(2)))


class TestSignatures:
    def test_one_plan_for_numbers_of_a_signature(self) -> None:
        f = function(lambda x: x**2, input_signature=[TensorSpec([], "float32")])
        assert [float(f(v)) for v in (1, 2.0, np.float32(3))] == [1.0, 4.0, 9.0]
        assert len(f._cache) == 1
        with pytest.raises(ValueError, match=r"argument 0 .* shape \(2,\)"):
            f([1.0, 2.0])
        with pytest.raises(TypeError, match=r"int32.*cast"):
            f(convert_to_tensor(1))
        with pytest.raises(TypeError, match="1 positional"):
            f(1.0, 2.0)

    def test_open_sizes(self) -> None:
        f = fastnn.function(input_signature=(TensorSpec((None, 3)),))(ops.sum)
        assert float(f(np.ones((2, 3), "f"))) == 6.0
        assert float(f([[1.0, 2.0, 3.0]])) == 6.0
        with pytest.raises(ValueError, match="None, 3"):
            f(np.ones((2, 4), "f"))

    def test_specs_compare_by_value(self) -> None:
        assert TensorSpec((None, 2)) == TensorSpec([None, 2], "float32", name="x")
        assert TensorSpec((1,)) != TensorSpec((1,), "int32")
        assert len({TensorSpec(()), TensorSpec(())}) == 1

    def test_runaway_tracing_says_what_differs(self) -> None:
        f = function(lambda x, k: x * k)
        x = convert_to_tensor(2.0)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for k in range(15):
                f(x, k)
        with pytest.warns(UserWarning, match="traced 16 times.* 14 and 15"):
            f(x, 15)
        for k in range(16, 100):
            assert float(f(x, k)) == 2.0 * k
        assert len(f._cache) == 64

    def test_autograph_can_be_switched_off(self) -> None:
        def f(x: Any) -> Any:
            return x if x > 0 else -x

        with pytest.raises(PlanError, match=r"ops\.where"):
            function(f, autograph=False)(convert_to_tensor(1.0))
        assert float(function(f)(convert_to_tensor(-1.0))) == 1.0


class TestThreadsAndForks:
    def test_sixteen_threads_share_a_function(self) -> None:
        w = Variable(RNG.standard_normal((8, 8)))
        traces = []

        @function
        def f(x: Any) -> Any:
            traces.append(1)
            return ops.tanh(x @ w) @ w

        inputs = RNG.standard_normal((16, 4, 8))
        expected = [np.tanh(x @ w.numpy()) @ w.numpy() for x in inputs]
        wrong: list[Any] = []
        ready = threading.Barrier(16)

        def work(i: int) -> None:
            x = Tensor(inputs[i])
            ready.wait()
            first = f(x).numpy()
            if not np.allclose(first, expected[i], rtol=1e-12):
                wrong.append(i)
            same = [np.array_equal(f(x).numpy(), first) for _ in range(CALLS - 1)]
            wrong.extend(i for ok in same if not ok)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert len(traces) == 1

    def test_a_child_of_a_fork_goes_on(self) -> None:
        f = function(lambda x: ops.exp(x @ x))
        x = RNG.standard_normal((64, 64))
        expected = f(x).numpy()
        for _ in range(FORKS):
            child = os.fork()
            if child == 0:
                same = np.array_equal(f(x).numpy(), expected)
                os._exit(0 if same else 1)
            assert os.waitpid(child, 0)[1] == 0
