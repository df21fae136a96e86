# SPDX-License-Identifier: Apache-2.0
"""Statements of items.txt about variables, components and functions, one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from custom_parts import HuberMetric, X, Y, create_huber

from fastnn import keras, tf

layers = keras.layers
ROWS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float32")


# -- tensors and variables -------------------------------------------------------------


@pytest.mark.feature("4A-5")
def test_a_transposed_variable_keeps_the_values_it_was_made_of() -> None:
    v = tf.Variable(ROWS)
    turned = tf.transpose(v)
    add = tf.function(lambda: [v.assign_add(tf.ones_like(v)), None][1])
    for _ in range(2):
        add()
    np.testing.assert_array_equal(turned, ROWS.T)
    np.testing.assert_array_equal(tf.transpose(v), ROWS.T + 2)


@pytest.mark.feature("1D-4b")
def test_functions_of_a_tensor_are_numpys() -> None:
    t = tf.constant(ROWS)
    pairs = (
        (tf.square(t), ROWS**2),
        (tf.transpose(t), ROWS.T),
        (tf.exp(t), np.exp(ROWS)),
        (tf.sqrt(t), np.sqrt(ROWS)),
        (tf.reshape(t, (3, 2)), ROWS.reshape(3, 2)),
        (tf.squeeze(t[:1]), ROWS[0]),
        (tf.tile(t, (2, 2)), np.tile(ROWS, (2, 2))),
        (tf.reduce_mean(t, axis=1), ROWS.mean(1)),
        (tf.reduce_sum(t), 21.0),
        (tf.reduce_max(t, 0), ROWS.max(0)),
        (tf.math.log(t), np.log(ROWS)),
        (tf.multiply(t, t), ROWS * ROWS),
    )
    for ours, expected in pairs:
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
        assert ours.dtype == tf.float32


@pytest.mark.feature("1D-33")
def test_identity_passes_the_gradient_that_stop_gradient_keeps_back() -> None:
    w = tf.Variable([2.0, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        kept, stopped = tf.identity(w * w), tf.stop_gradient(w * w)
    assert kept.numpy().tolist() == stopped.numpy().tolist() == [4.0, 9.0]
    assert tape.gradient(kept, w).numpy().tolist() == [4.0, 6.0]
    assert tape.gradient(stopped, w) is None


# -- components ------------------------------------------------------------------------


class MeanHuber(keras.metrics.Mean):
    """The simpler version: the mean that is there, of a function."""

    def __init__(self, threshold: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.huber = create_huber(threshold)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        super().update_state(self.huber(y_true, y_pred), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


@pytest.mark.feature("1D-22")
@pytest.mark.parametrize("eagerly", [False, True])
def test_a_subclass_of_mean_is_the_metric_written_out(eagerly: bool) -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    both = [HuberMetric(0.5, name="long"), MeanHuber(0.5, name="short")]
    model.compile(loss="mse", metrics=both, run_eagerly=eagerly)
    logs = model.evaluate(X, Y, batch_size=32, verbose=0, return_dict=True)
    assert logs["short"] == pytest.approx(logs["long"], rel=1e-5)
    assert MeanHuber.from_config(both[1].get_config()).threshold == 0.5


class Bare(keras.regularizers.Regularizer):
    """Calls nothing of its base class."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, weights: Any) -> Any:
        return self.factor * tf.reduce_sum(tf.square(weights))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


@pytest.mark.feature("4G-77")
def test_a_regularizer_calls_nothing_of_its_base_class() -> None:
    base = keras.regularizers.Regularizer
    assert base.__init__ is object.__init__
    with pytest.raises(NotImplementedError):
        base().get_config()
    layer = layers.Dense(2, kernel_regularizer=Bare(0.5))
    layer.build((None, 3))
    (penalty,) = layer.losses
    expected = 0.5 * (layer.kernel.numpy() ** 2).sum()
    assert float(penalty) == pytest.approx(expected, rel=1e-6)


@pytest.mark.feature("4G-78")
def test_a_constraint_is_called_after_each_step_and_replaces_the_weights() -> None:
    seen: list[np.ndarray] = []

    class Noted(keras.constraints.Constraint):
        def __call__(self, w: Any) -> Any:
            seen.append(w.numpy())
            return tf.clip_by_value(w, -0.125, 0.125)

    layer = layers.Dense(1, kernel_constraint=Noted())
    model = keras.Sequential([keras.Input((6,)), layer])
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
    assert len(seen) == 2 * len(X) // 32
    np.testing.assert_array_equal(layer.kernel, seen[-1].clip(-0.125, 0.125))
    rate = 0.01
    before = seen[-2].clip(-0.125, 0.125)  # what the step began with
    assert np.abs(seen[-1] - before).max() < 10 * rate
    assert not np.array_equal(seen[-1], before)


@pytest.mark.feature("1D-40", "4G-84")
def test_custom_functions_are_converted_unless_the_model_runs_eagerly() -> None:
    calls: list[bool] = []

    def loss(y_true: Any, y_pred: Any) -> Any:
        calls.append(y_pred.is_symbolic)
        return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)

    for eagerly in (False, True):
        model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
        model.compile("sgd", loss, run_eagerly=eagerly)
        calls.clear()
        model.fit(X, Y, batch_size=32, epochs=2, verbose=0)
        if eagerly:
            assert calls == [False] * 6
        else:
            assert calls and all(calls)


# -- functions -------------------------------------------------------------------------


@pytest.mark.feature("1D-39")
def test_sorting_drawing_and_python_in_a_function() -> None:
    @tf.function
    def f(x: Any) -> Any:
        doubled = tf.py_function(lambda t: 2 * t.numpy(), [x], tf.float32)
        return tf.sort(x), tf.random.uniform([]), doubled

    x = tf.constant([3.0, 1.0, 2.0])
    (a, u, d), (_, v, _) = f(x), f(x)
    assert a.numpy().tolist() == [1.0, 2.0, 3.0]
    assert d.numpy().tolist() == [6.0, 2.0, 4.0]
    assert u.shape == () and 0 <= float(u) < 1 and float(u) != float(v)


@pytest.mark.feature("1D-37b")
def test_constants_are_added_while_tracing() -> None:
    @tf.function
    def f(x: Any) -> Any:
        return x * (tf.constant(1.0) + tf.constant(2.0))

    assert float(f(tf.constant(5.0))) == 15.0
    assert [node.op.name for node in f.graph(tf.constant(5.0)).nodes] == ["multiply"]


@pytest.mark.feature("4I-98b", "1D-38b")
def test_python_ranges_are_unrolled_and_ranges_of_tensors_are_not() -> None:
    def counted(x: Any, how: Any) -> Any:
        for i in how(10):
            x = tf.sin(x) + tf.cast(i, tf.float32)
        return x

    unrolled, looped = (
        tf.function(counted).graph(tf.constant(0.5), how) for how in (range, tf.range)
    )
    assert [node.op.name for node in unrolled.nodes].count("sin") == 10
    assert "sin" not in [node.op.name for node in looped.nodes]
    expected = np.float32(0.5)
    for i in range(10):
        expected = np.sin(expected) + np.float32(i)
    for how in (range, tf.range):
        got = tf.function(counted)(tf.constant(0.5), how)
        assert float(got) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.feature("4I-100")
def test_python_in_a_function_is_called_at_every_run_and_differentiated() -> None:
    seen: list[float] = []

    def cube(x: Any) -> Any:
        seen.append(float(x))
        return x * x * x

    @tf.function
    def slope(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = 2.0 * tf.py_function(cube, [x], tf.float32)
        return y, tape.gradient(y, x)

    for value in (2.0, 3.0, 3.0):
        y, dy = slope(tf.constant(value))
        assert (float(y), float(dy)) == (2 * value**3, 6 * value**2)
    assert seen.count(2.0) == 2 and seen.count(3.0) == 4  # the value, its gradient

    def noted(x: Any) -> Any:
        seen.append(float(x))
        return x

    count = tf.function(lambda: tf.py_function(noted, [1.0], tf.float32))
    seen.clear()
    for _ in range(3):
        count()
    assert len(seen) == 1 + 3  # zeros first
    with tf.GradientTape() as tape:
        x = tf.Variable(2.0)
        y = tf.py_function(lambda t: t.numpy() ** 2, [x], tf.float32)
    assert (float(y), tape.gradient(y, x)) == (4.0, None)
