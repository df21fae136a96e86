# SPDX-License-Identifier: Apache-2.0
"""Models whose steps have branches, loops or LAPACK in them: ops without a kernel."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import keras, ops, tf

RNG = np.random.default_rng(0)
X = RNG.standard_normal((70, 3)).astype("float32")
Y = X[:, :1] - 0.5


def cond(h: Any) -> Any:
    return ops.cond(ops.mean(h) > 0, lambda: h * 2.0, lambda: h - 1.0)


def while_loop(h: Any) -> Any:
    return ops.while_loop(
        lambda h: ops.sum(ops.abs(h)) > 1.0, lambda h: (h * 0.5,), (h,)
    )[0]


def switch(h: Any) -> Any:
    index = ops.cast(ops.sum(h) > 0, "int32")
    return ops.switch(index, [lambda h: h * 2.0, lambda h: h * 3.0], h)


def inv(h: Any) -> Any:
    return h @ ops.inv(ops.transpose(h) @ h + ops.eye(4))


class Calling(keras.layers.Layer):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def call(self, x: Any) -> Any:
        return self.function(x)


class Hidden(keras.layers.Layer):
    """Variables, and a branch that uses them."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = keras.layers.Dropout(0.3, seed=3)

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        self.taken = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        return x @ self.kernel


class Branching(Hidden):
    def call(self, x: Any, training: bool = False) -> Any:
        h = super().call(x)
        if training:
            h = self.drop(h, training=training)
        if tf.reduce_sum(h) > 0.0:
            self.taken.assign_add(1.0)
            return h * 2.0
        for i in range(2):
            h = h + float(i)
        return h


def tensors_decide(h: Any) -> Any:
    raise NotImplementedError  # Branching instead of a function


# Name of the op that is the reason, and its place in the source.
LINES = {
    cond: ("cond", "ops.cond"),
    while_loop: ("while_loop", "ops.while_loop"),
    switch: ("switch", "ops.switch"),
    inv: ("inv", "ops.inv"),
    tensors_decide: ("if", "if tf.reduce_sum"),
}


def line_of(function: Any) -> int:
    where = Branching.call if function is tensors_decide else function
    lines, start = inspect.getsourcelines(where)
    return start + next(i for i, line in enumerate(lines) if LINES[function][1] in line)


def made(function: Any, **options: Any) -> Any:
    keras.utils.set_random_seed(2)
    parts = [keras.layers.Dense(4, "tanh"), Calling(function)]
    if function is tensors_decide:
        parts = [Branching()]
    model = keras.Sequential([keras.Input((3,)), *parts, keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"], **options)
    return model


def used(model: Any, x: Any) -> list[Any]:
    """All that a model says and holds after every way of running it."""
    history = model.fit(
        x, Y, epochs=2, batch_size=16, validation_split=0.2, verbose=0
    ).history
    return [
        *(history[name] for name in sorted(history)),
        model.evaluate(x, Y, batch_size=32, verbose=0),
        model.predict(x, batch_size=16, verbose=0),
        model.train_on_batch(x[:9], Y[:9]),
        model.test_on_batch(x[:9], Y[:9]),
        model.predict_on_batch(x[:5]),
        *model.get_weights(),
    ]


@pytest.mark.parametrize("function", LINES)
def test_steps_without_a_plan_are_the_eager_ones_with_one_warning(
    function: Any,
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = used(made(function), X)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "runs op by op" in text and caught[0].filename == __file__
    assert f"{LINES[function][0]} at {__file__}:{line_of(function)} " in text
    for a, b in zip(found, used(made(function, run_eagerly=True), X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_state_that_a_branch_assigns_goes_on() -> None:
    model, x = made(tensors_decide), np.abs(X)
    layer = model.layers[0]
    layer.kernel.assign(np.ones((3, 4), "float32"))
    layer.drop.rate = 0.0
    model.optimizer.learning_rate = 0.0
    with pytest.warns(UserWarning, match="op by op"):
        model.fit(x, Y, epochs=2, batch_size=10, verbose=0)
    assert float(layer.taken) == 14.0
    model.fit(-x, Y, epochs=2, batch_size=10, verbose=0)
    assert float(layer.taken) == 14.0


def test_arrays_of_any_strides_are_read() -> None:
    wide = np.asfortranarray(X.astype("float64"))
    with pytest.warns(UserWarning, match="op by op"):
        found = used(made(cond), wide)
    for a, b in zip(found, used(made(cond, run_eagerly=True), X), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_without_a_plan_says_which_op_is_the_reason() -> None:
    model = made(inv)
    with pytest.warns(UserWarning, match="op by op"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match=r"no train plan: inv at .*test_branches.py"):
        model.plan()


def test_a_branch_in_a_training_step_of_ones_own() -> None:
    class Clipping(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.out = keras.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.out(x)

        def train_step(self, data: Any) -> Any:
            x, y = data
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(self(x, training=True) - y))
            grads = tape.gradient(loss, self.trainable_variables)
            size = ops.sqrt(tf.add_n([tf.reduce_sum(tf.square(g)) for g in grads]))
            grads = ops.cond(
                size > 1.0, lambda: [g / size for g in grads], lambda: grads
            )
            self.optimizer.apply(grads, self.trainable_variables)
            return {"loss": loss, "size": size}

    results = []
    for eagerly in (False, True):
        keras.utils.set_random_seed(0)
        model = Clipping()
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=eagerly)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = model.fit(X, Y, epochs=3, verbose=0).history
        results.append((history, model.get_weights()))
    assert results[0][0] == results[1][0]
    assert max(results[0][0]["size"]) > 1.0
    np.testing.assert_array_equal(results[0][1][0], results[1][1][0])


@pytest.mark.parametrize("autograph", [True, False])
def test_tensors_decide_in_a_layer_that_a_function_calls(autograph: bool) -> None:
    layer = Branching()
    layer(X)
    call = fastnn.function(lambda x: layer(x), autograph=autograph)
    if not autograph:
        with pytest.raises(fastnn.errors.PlanError, match=r"test_branches.py:\d+"):
            call(tf.constant(X))
        return
    for x in (X, -X, np.abs(X)):
        np.testing.assert_array_equal(call(tf.constant(x)), layer(x))
    variables = layer.trainable_variables
    with fastnn.GradientTape() as tape:
        y = ops.sum(call(tf.constant(X)))
    (found,) = tape.gradient(y, variables)
    with fastnn.GradientTape() as tape:
        y = ops.sum(layer(X))
    np.testing.assert_allclose(found, tape.gradient(y, variables)[0], rtol=1e-6)
