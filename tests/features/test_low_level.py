# SPDX-License-Identifier: Apache-2.0
"""Tensors, variables, tapes and functions as items.txt says (1D, 4A, 4B, 4I).

What another test file already holds is not repeated: the tape's manners are in
autodiff/test_tape.py, functions in graph/test_compile.py and test_autograph.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import keras, tf
from fastnn.errors import DTypeError, PlanError
from fastnn.structures._names import STRICT

T = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float32")


class TestTensors:
    @pytest.mark.feature("1D-2a", "1D-2b", "1D-2c", "4A-1")
    def test_d2_dtypes_of_constants(self) -> None:
        assert tf.constant([[1.0, 2.0]]).dtype == tf.float32
        assert tf.constant(42).dtype == tf.int32
        assert tf.constant(np.array([2.0])).dtype == tf.float64
        assert tf.constant(np.array([2.0]), dtype=tf.float32).dtype == tf.float32
        scalar = tf.constant(42)
        assert (scalar.shape, int(scalar.numpy())) == ((), 42)

    @pytest.mark.feature("1D-3")
    def test_d3_indexing(self) -> None:
        t = tf.constant(T)
        np.testing.assert_array_equal(t[:, 1:].numpy(), T[:, 1:])
        assert t[..., 1, tf.newaxis].numpy().tolist() == [[2.0], [5.0]]

    @pytest.mark.feature("1D-4a")
    def test_d4_operators(self) -> None:
        t = tf.constant(T)
        for made in (t + 10, tf.add(t, 10), t.__add__(10), tf.math.add(t, 10)):
            np.testing.assert_array_equal(made.numpy(), T + 10)
        np.testing.assert_array_equal(tf.square(t).numpy(), T**2)
        for made in (t @ tf.transpose(t), tf.matmul(t, tf.transpose(t))):
            assert made.numpy().tolist() == [[14, 32], [32, 77]]
        assert not hasattr(t, "T")

    @pytest.mark.feature("1D-5")
    def test_d5_the_backend(self) -> None:
        K = keras.backend
        made = K.square(K.transpose(tf.constant(T))) + 10
        assert made.numpy().tolist() == [[11, 26], [14, 35], [19, 46]]

    @pytest.mark.feature("1D-6a", "1D-6b", "4A-4")
    def test_d6_numpy(self) -> None:
        a = np.array([2.0, 4.0, 5.0])
        t = tf.constant(a)
        assert t.dtype == tf.float64
        assert isinstance(np.square(t), np.ndarray)
        np.testing.assert_array_equal(np.square(t), a**2)
        np.testing.assert_array_equal(np.array(t), t.numpy())
        assert tf.square(a).dtype == tf.float64

    @pytest.mark.parametrize(
        ("other", "kind"),
        [(tf.constant(40), "float"), (tf.constant(40.0, tf.float64), "double")],
    )
    @pytest.mark.feature("1D-7", "1D-4d", "4A-2", "4A-8")
    def test_d7_no_conversion_of_tensors(self, other: Any, kind: str) -> None:
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"expected to be a {kind} .*cast"
        ):
            tf.constant(2.0) + other
        two = tf.constant([[2.0]])
        for name in STRICT:
            function = getattr(tf, name)
            both: Any = two, other
            if name in ("concat", "stack"):
                both = ([two, tf.reshape(other, (1, 1))], 0)
            with pytest.raises(DTypeError, match=rf"\[{name}\] .*cast"):
                function(*both)
            assert function is getattr(tf.math, name)
        with pytest.raises(DTypeError, match="cast"):
            tf.matmul(two, tf.reshape(other, (1, 1)))
        with pytest.raises(DTypeError, match="cast"):
            tf.where(two > 0.0, two, other)
        assert tf.add(two, 40).dtype == tf.float32
        assert float(tf.constant(2.0) + tf.cast(other, tf.float32)) == 42.0
        with pytest.raises(DTypeError, match="cast"):  # 4A-8
            tf.Variable(2.0).assign(other)

    @pytest.mark.feature("4A-10a", "4A-10b", "1D-2c", "1D-8d")
    def test_a10_representations(self) -> None:
        assert repr(tf.constant(42)) == "<tf.Tensor: shape=(), dtype=int32, numpy=42>"
        assert str(tf.constant(0)) == "tf.Tensor(0, shape=(), dtype=int32)"
        assert f"{tf.constant([1, 2])}" == "tf.Tensor([1 2], shape=(2,), dtype=int32)"
        rows = "array([[1., 2., 3.],\n       [4., 5., 6.]], dtype=float32)>"
        assert repr(tf.constant(T)) == (
            f"<tf.Tensor: shape=(2, 3), dtype=float32, numpy=\n{rows}"
        )
        assert str(tf.constant(T)) == (
            "tf.Tensor(\n[[1. 2. 3.]\n [4. 5. 6.]], shape=(2, 3), dtype=float32)"
        )
        assert repr(tf.Variable(T, name="Variable")) == (
            f"<tf.Variable 'Variable:0' shape=(2, 3) dtype=float32, numpy=\n{rows}"
        )
        layer = keras.layers.Dense(1, name="out")
        layer.build((None, 1))
        assert str(layer.bias) == (
            "<tf.Variable 'out/bias:0' shape=(1,) dtype=float32, "
            "numpy=array([0.], dtype=float32)>"
        )
        seen: list[str] = []
        tf.function(lambda x: [seen.append(repr(x)), x][1])(tf.constant(2.0))
        assert seen == ["<tf.Tensor: shape=(), dtype=float32, symbolic>"]

    def test_products_of_transposed_matrices_and_places_in_a_mask(self) -> None:
        t = tf.constant(T)
        np.testing.assert_array_equal(tf.matmul(t, t, transpose_b=True), T @ T.T)
        np.testing.assert_array_equal(tf.matmul(t, t, transpose_a=True), T.T @ T)
        places = tf.where(t > 4.0)
        assert places.dtype == tf.int64
        np.testing.assert_array_equal(places, np.argwhere(T > 4.0))

    @pytest.mark.feature("4A-3")
    def test_a3_numbers_take_the_dtype_of_the_tensor(self) -> None:
        for dtype in ("float32", "float64", "int32", "int64"):
            assert (tf.constant(T, dtype) + 10).dtype == dtype
            assert (3 * tf.constant(T, dtype)).dtype == dtype

    @pytest.mark.feature("4A-7")
    def test_a5_transpose_and_a7_constants(self) -> None:
        t = tf.constant(T)
        with pytest.raises(TypeError, match="immutable"):
            t[0, 0] = 7.0
        np.testing.assert_array_equal(tf.transpose(t).numpy(), T.T)

    @pytest.mark.feature("4A-6")
    def test_a6_extrema_are_deterministic(self) -> None:
        x = tf.constant(np.random.default_rng(0).standard_normal(10_001))
        assert len({float(tf.reduce_max(x)) for _ in range(5)}) == 1
        assert len({float(tf.reduce_sum(x)) for _ in range(5)}) == 1


class TestVariables:
    @pytest.mark.feature("1D-8a", "1D-8b", "1D-8c", "4A-7")
    def test_d8_assignments(self) -> None:
        v = tf.Variable(T)
        v.assign(2 * v)
        v[0, 1].assign(42)
        v[:, 2].assign([0.0, 1.0])
        assert v.numpy().tolist() == [[2, 42, 0], [8, 10, 1]]
        v.scatter_nd_update(indices=[[0, 0], [1, 2]], updates=[100.0, 200.0])
        assert v.numpy().tolist() == [[100, 42, 0], [8, 10, 200]]
        rows = tf.IndexedSlices(
            values=tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), indices=[1, 0]
        )
        v.scatter_update(rows)
        assert v.numpy().tolist() == [[4, 5, 6], [1, 2, 3]]
        v.assign_add(tf.ones_like(v))
        v.assign_sub(2 * tf.ones_like(v))
        assert v.numpy().tolist() == [[3, 4, 5], [0, 1, 2]]
        with pytest.raises(TypeError, match="assign"):
            v[0, 0] = 7.0

    def test_assigned_tensors_keep_their_value(self) -> None:
        """The variable holds the tensor's memory: neither may change the other."""
        t = tf.constant(T)
        v, w = tf.Variable(T * 0), tf.Variable(T * 0)
        v.assign(t)
        w.assign(v)
        add = tf.function(lambda: [v.assign_add(tf.ones_like(v)), None][1])
        for _ in range(3):
            add()
        np.testing.assert_array_equal(t.numpy(), T)
        np.testing.assert_array_equal(v.numpy(), T + 3)
        np.testing.assert_array_equal(w.numpy(), T)
        sum_ = t + 1.0
        v.assign(sum_)
        kept = v.value
        add()
        np.testing.assert_array_equal(sum_.numpy(), T + 1)
        np.testing.assert_array_equal(kept.numpy(), T + 1)
        np.testing.assert_array_equal(v.numpy(), T + 2)

    def test_assigned_parts_do_not_keep_the_whole(self) -> None:
        big = tf.constant(np.zeros((1000, 1000), "float32"))
        v = tf.Variable(np.ones((2, 1000), "float32"))
        v.assign(big[:2])
        assert v._array.base is None or v._array.base.nbytes == v._array.nbytes

    def test_what_somebody_holds_is_not_written(self) -> None:
        a = np.ones(3, "float32")
        v = tf.Variable(a)
        seen = np.asarray(v)
        tf.function(lambda: [v.assign_add([1.0, 1.0, 1.0]), None][1])()
        assert (a.tolist(), seen.tolist()) == ([1, 1, 1], [1, 1, 1])
        assert v.numpy().tolist() == [2, 2, 2]


class TestTapes:
    @pytest.mark.feature("4B-11")
    def test_b11_a_tape_is_used_once(self) -> None:
        w = tf.Variable(5.0)
        with tf.GradientTape() as tape:
            z = w * w
        tape.gradient(z, w)
        with pytest.raises(RuntimeError, match="persistent"):
            tape.gradient(z, w)

    @pytest.mark.feature("4B-14b")
    def test_b14_no_gradient_is_none(self) -> None:
        w = tf.Variable([1.0, 3.0])
        with tf.GradientTape() as tape:
            z = tf.argmax(w)
        assert tape.gradient(z, w) is None

    @pytest.mark.feature("4B-20b")
    def test_b20b_the_loop_inside_its_own_tape(self) -> None:
        w = tf.Variable(5.0)
        optimizer = keras.optimizers.SGD(0.1)
        mean = keras.metrics.Mean()
        losses = []
        for _ in range(3):
            with tf.GradientTape() as tape:
                loss = w * w
                optimizer.apply_gradients([(tape.gradient(loss, w), w)])
                losses.append(float(mean(loss)))
        assert float(w) == pytest.approx(5 * 0.8**3)
        assert losses[0] == 25.0


class TestFunctions:
    @pytest.mark.feature("4I-94", "1D-37a")
    def test_94_one_graph_per_signature(self) -> None:
        seen: list[Any] = []

        @tf.function
        def cube(x: Any) -> Any:
            seen.append(getattr(x, "shape", x))
            return x**3

        cube(tf.constant(10)), cube(tf.constant(20))
        assert seen == [()]
        cube(tf.constant([10, 20]))
        assert seen == [(), (2,)]
        cube(10), cube(20), cube(10)
        assert seen == [(), (2,), 10, 20]

    @pytest.mark.feature("4I-95a", "4I-95b", "1D-37c")
    def test_95_results_are_tensors(self) -> None:
        cube = tf.function(lambda x: x**3)
        assert (int(cube(2)), cube(2).dtype) == (8, "int32")
        assert float(cube(tf.constant(2.0))) == 8.0
        assert cube.python_function(2) == 8

    @pytest.mark.feature("4I-96a", "4I-96b")
    def test_96_other_code_runs_while_tracing_only(self, capsys: Any) -> None:
        numbers = np.random.default_rng(0)

        @tf.function
        def draws(x: Any) -> Any:
            print("tracing")
            return x + numbers.random(), tf.random.uniform([])

        a, u = draws(tf.constant(0.0))
        b, v = draws(tf.constant(0.0))
        assert float(a) == float(b) and float(u) != float(v)
        c, _ = draws(tf.constant([0.0]))
        assert float(c[0]) != float(a)
        assert capsys.readouterr().out == "tracing\ntracing\n"

    @pytest.mark.feature("4I-97")
    def test_97_variables_on_the_first_call_only(self) -> None:
        held: list[Any] = []

        @tf.function
        def once(x: Any) -> Any:
            if not held:
                held.append(tf.Variable(1.0))
            return held[0].assign_add(x).value

        assert [float(once(tf.constant(2.0))) for _ in range(3)] == [3.0, 5.0, 7.0]

        @tf.function
        def always(x: Any) -> Any:
            return tf.Variable(1.0) + x

        always(tf.constant(1.0))
        with pytest.raises(PlanError, match="first"):
            always(tf.constant([1.0]))

    @pytest.mark.feature("4I-98a")
    def test_98_loops_over_ranges_are_captured_others_unrolled(self) -> None:
        def add_10(x: Any, how: Any) -> Any:
            for _ in how(10):
                x += 1
            return x

        f = tf.function(lambda x, n: sum_to(x, n))

        def sum_to(x: Any, n: Any) -> Any:
            for i in tf.range(n + 1):
                x += i**2
            return x

        assert int(f(tf.constant(0), tf.constant(5))) == 55
        unrolled = tf.function(add_10).graph(tf.constant(0), range)
        assert sum(node.op.name == "add" for node in unrolled.nodes) in (1, 10)
        assert int(tf.function(add_10)(tf.constant(0), range)) == 10

    @pytest.mark.feature("4I-100")
    def test_100_py_function(self) -> None:
        got = tf.py_function(lambda x: x.numpy() ** 2, [tf.constant(3.0)], tf.float32)
        assert float(got) == 9.0

    @pytest.mark.feature("4I-101")
    def test_101_called_functions_are_traced_too(self) -> None:
        def inner(x: Any) -> Any:
            return x if x > 0 else -x

        outer = tf.function(lambda x: inner(x) + 1.0)
        assert [float(outer(tf.constant(v))) for v in (2.0, -2.0)] == [3.0, 3.0]
        assert "inner" in tf.autograph.to_code(inner)

    @pytest.mark.feature("4I-104", "1D-38a")
    def test_104_autograph_handles_break_continue_return(self) -> None:
        @tf.function
        def first_over(x: Any, limit: Any) -> Any:
            found = tf.constant(-1)
            i = tf.constant(0)
            while i < 6:
                if x[i] < 0:
                    i += 1
                    continue
                if x[i] > limit:
                    found = i
                    break
                i += 1
            return found

        x = tf.constant([1.0, -9.0, 3.0, 4.0, -5.0, 6.0])
        for limit, expected in ((2.0, 2), (3.5, 3), (5.0, 5), (7.0, -1)):
            assert int(first_over(x, tf.constant(limit))) == expected


@pytest.mark.feature("4G-81a", "4G-81c", "4G-81d")
def test_g81_82_what_a_loop_by_hand_must_do_itself() -> None:
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(1, kernel_regularizer=keras.regularizers.l2(0.1)),
        ]
    )
    x = np.random.default_rng(0).standard_normal((16, 3)).astype("float32")
    fastnn.utils.set_random_seed(0)
    assert not np.array_equal(model(x, training=True), model(x, training=True))
    np.testing.assert_array_equal(model(x), model(x))
    (penalty,) = model.losses
    kernel = model.layers[-1].kernel.numpy()
    assert float(penalty) == pytest.approx(0.1 * (kernel**2).sum(), rel=1e-5)
    assert len(model.trainable_variables) == 4 and len(model.variables) > 6 - 1
