# SPDX-License-Identifier: Apache-2.0
"""Custom components (items 1D, 4G) eagerly, under `function` and under `fit`.

Each example trains three times from the same weights on the same batches: by `fit`, by
`fit` with `run_eagerly=True`, and by a loop written by hand under `@function`. Losses
and weights must be equal.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from custom_parts import (
    HuberLoss,
    HuberMetric,
    MyDense,
    MyL1,
    Positive,
    X,
    Y,
    create_huber,
    huber_fn,
    my_glorot,
    my_l1,
    my_softplus,
    positive,
)

import fastnn
from fastnn import keras, tf

BATCH, EPOCHS = 32, 3
Make = Callable[[], Any]


class MyMultiLayer(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        x1, x2 = x
        return [x1 + x2, x1 * x2, x1 / (tf.abs(x2) + 1.0)]


class MyGaussianNoise(keras.layers.Layer):
    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev
        self.seeds = fastnn.random.SeedGenerator(7)

    def call(self, x: Any, training: Any = None) -> Any:
        if not training:
            return x
        noise = tf.random.normal(tf.shape(x), stddev=self.stddev, seed=self.seeds)
        return x + noise


class ResidualBlock(keras.layers.Layer):
    def __init__(self, layers: int, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = [
            keras.layers.Dense(units, "elu", kernel_initializer="he_normal")
            for _ in range(layers)
        ]

    def call(self, inputs: Any) -> Any:
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        return inputs + z


class ResidualRegressor(keras.Model):
    def __init__(self, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden1 = keras.layers.Dense(30, "elu", kernel_initializer="he_normal")
        self.block1 = ResidualBlock(2, 30)
        self.block2 = ResidualBlock(2, 30)
        self.out = keras.layers.Dense(output_dim)

    def call(self, inputs: Any) -> Any:
        z = self.hidden1(inputs)
        for _ in range(1 + 3):
            z = self.block1(z)
        return self.out(self.block2(z))


class ReconstructingRegressor(keras.Model):
    def __init__(self, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = [
            keras.layers.Dense(30, "selu", kernel_initializer="lecun_normal")
            for _ in range(5)
        ]
        self.out = keras.layers.Dense(output_dim)

    def build(self, batch_input_shape: Any) -> None:
        self.reconstruct = keras.layers.Dense(batch_input_shape[-1])
        super().build(batch_input_shape)

    def call(self, inputs: Any) -> Any:
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        error = tf.reduce_mean(tf.square(self.reconstruct(z) - inputs))
        self.add_loss(0.05 * error)
        return self.out(z)


class MyMomentum(keras.optimizers.Optimizer):
    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(learning_rate)
        self.momentum = momentum

    def build(self, variables: Any) -> None:
        if self.built:
            return
        super().build(variables)
        self.moments = self.add_optimizer_variables(variables, "moment")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        moment = self.moments[self._get_variable_index(variable)]
        moved = moment * self.momentum - gradient * tf.cast(learning_rate, tf.float32)
        self.assign(moment, moved)
        self.assign_add(variable, moved)


def sequential(*layers: Any) -> Any:
    return keras.Sequential([keras.Input((6,)), *layers])


def multi() -> Any:
    inputs = keras.Input((6,))
    a, b = keras.layers.Dense(4)(inputs), keras.layers.Dense(4)(inputs)
    joined = keras.layers.concatenate(MyMultiLayer()([a, b]))
    return keras.Model(inputs, keras.layers.Dense(1)(joined))


Dense, Lambda = keras.layers.Dense, keras.layers.Lambda
plain = partial(lambda: sequential(Dense(8, "relu"), Dense(1)))
REGULARIZED = partial(
    Dense,
    8,
    activation=my_softplus,
    kernel_initializer=my_glorot,
    kernel_regularizer=my_l1,
    kernel_constraint=positive,
)
# name -> (model, loss, optimizer, metrics); the numbers are those of items.txt.
CASES: dict[str, tuple[Make, Any, Any, list[Any]]] = {
    "1D-15 loss function": (plain, huber_fn, "nadam", []),
    "1D-16 loss factory": (plain, create_huber(2.0), "nadam", []),
    "1D-17 loss class": (plain, HuberLoss(0.5), "sgd", []),
    "1D-18 functions": (
        lambda: sequential(REGULARIZED(), Dense(1)),
        "mse",
        "nadam",
        [],
    ),
    "1D-19 classes": (
        lambda: sequential(
            Dense(8, "relu", kernel_regularizer=MyL1(0.02), bias_regularizer=MyL1(0.1)),
            Dense(1, kernel_constraint=Positive()),
        ),
        "mse",
        "sgd",
        [],
    ),
    "1D-20 function metric": (plain, "mse", "sgd", [create_huber(2.0)]),
    "1D-22 metric class": (plain, "mse", "sgd", [lambda: HuberMetric(2.0)]),
    "1D-23 Lambda": (
        lambda: sequential(
            Dense(8), keras.layers.Lambda(lambda x: tf.exp(-x)), Dense(1)
        ),
        "mse",
        "sgd",
        [],
    ),
    "1D-23 exponential": (
        lambda: sequential(Dense(4, tf.exp), Dense(1)),
        "mse",
        "adam",
        [],
    ),
    "1D-24 MyDense": (
        lambda: sequential(MyDense(8, activation="relu"), MyDense(1)),
        "mse",
        "nadam",
        [],
    ),
    "1D-25 MyMultiLayer": (multi, "mse", "sgd", []),
    "1D-26 noise": (
        lambda: sequential(MyGaussianNoise(0.1), Dense(8, "relu"), Dense(1)),
        "mse",
        "sgd",
        [],
    ),
    "1D-27 residual": (lambda: ResidualRegressor(1), "mse", "nadam", []),
    "1D-28 reconstruction": (lambda: ReconstructingRegressor(1), "mse", "nadam", []),
    "1D-41 optimizer": (plain, "mse", MyMomentum, []),
}


def is_maker(metric: Any) -> bool:
    return getattr(metric, "__name__", "") == "<lambda>"


def built(case: str) -> tuple[Any, list[np.ndarray]]:
    """A compiled model with weights that depend on the case only."""
    make, loss, optimizer, metrics = CASES[case]
    keras.utils.set_random_seed(3)
    model = make()
    model(X[:2])
    model.compile(
        loss=loss,
        optimizer=optimizer() if isinstance(optimizer, type) else optimizer,
        metrics=[
            m() if getattr(m, "__name__", "") == "<lambda>" else m for m in metrics
        ],
    )
    return model, model.get_weights()


def by_fit(case: str, *, eagerly: bool) -> tuple[list[float], list[np.ndarray]]:
    model, _ = built(case)
    model.run_eagerly = eagerly
    history = model.fit(X, Y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return history.history["loss"], model.get_weights()


def by_hand(case: str) -> tuple[list[float], list[np.ndarray]]:
    """The training step of 1D-35, under `function`."""
    model, _ = built(case)
    loss_fn = keras.losses.get(CASES[case][1])
    mean_loss = keras.metrics.Mean()
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            main_loss = tf.reduce_mean(loss_fn(y, y_pred))
            loss = tf.add_n([main_loss, *model.losses])
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        mean_loss(loss)

    losses = []
    for _ in range(EPOCHS):
        mean_loss.reset_state()
        for start in range(0, len(X), BATCH):
            rows = slice(start, start + BATCH)
            step(tf.constant(X[rows]), tf.constant(Y[rows]))
        losses.append(float(mean_loss.result()))
    return losses, model.get_weights()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.feature(
    "1D-15",
    "1D-18",
    "1D-19",
    "1D-23",
    "1D-24",
    "1D-25",
    "1D-26",
    "1D-27",
    "1D-28",
    "1D-40",
    "1D-41",
    "4G-76a",
    "4G-84",
)
def test_three_ways_to_train_are_one(case: str) -> None:
    losses, weights = by_fit(case, eagerly=False)
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    for way in (partial(by_fit, eagerly=True), by_hand):
        other_losses, other_weights = way(case)
        np.testing.assert_allclose(other_losses, losses, rtol=2e-5)
        for a, b in zip(other_weights, weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.feature("1D-20", "1D-22")
def test_metrics_of_the_three_kinds_agree() -> None:
    values = []
    for metric in (create_huber(2.0), HuberMetric(2.0, name="huber")):
        model, _ = built("1D-15 loss function")
        model.compile(loss="mse", optimizer="sgd", metrics=[metric])
        for eagerly in (False, True):
            model.run_eagerly = eagerly
            values.append(model.evaluate(X, Y, batch_size=BATCH, verbose=0)[1])
    error = np.abs(Y - model.predict(X, verbose=0))
    expected = np.where(error < 2, error**2 / 2, 2 * error - 2).mean()
    np.testing.assert_allclose(values, expected, rtol=1e-5)


@pytest.mark.feature("1D-36")
def test_wide_and_deep_with_two_optimizers() -> None:
    """1D-36: one optimizer for the wide path, another for the deep one."""
    results = []
    for compiled in (False, True):
        keras.utils.set_random_seed(5)
        inputs = keras.Input((6,))
        hidden = Dense(8, "relu", name="deep")(inputs)
        wide = Dense(1, name="wide")(inputs)
        deep = Dense(1, name="deep_out")(hidden)
        model = keras.Model(inputs, keras.layers.add([wide, deep]))
        groups = [
            [v for v in model.trainable_variables if v.path.startswith("wide")],
            [v for v in model.trainable_variables if v.path.startswith("deep")],
        ]
        assert [len(g) for g in groups] == [2, 4]
        optimizers = [keras.optimizers.Ftrl(0.05), keras.optimizers.Adagrad(0.1)]
        for optimizer, group in zip(optimizers, groups, strict=True):
            optimizer.build(group)

        def step(x: Any, y: Any, model=model, groups=groups, both=optimizers) -> Any:
            with tf.GradientTape(persistent=True) as tape:
                loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
            for optimizer, group in zip(both, groups, strict=True):
                grads = tape.gradient(loss, group)
                optimizer.apply_gradients(zip(grads, group, strict=True))
            return loss

        run = tf.function(step) if compiled else step
        losses = [float(run(tf.constant(X), tf.constant(Y))) for _ in range(20)]
        assert losses[-1] < 0.7 * losses[0]
        results.append((losses, model.get_weights()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.feature("1D-17a", "1D-19")
def test_configs_of_custom_parts_survive() -> None:
    loss = HuberLoss(2.0, name="h", reduction="sum")
    again = HuberLoss.from_config(loss.get_config())
    assert (again.threshold, again.name, again.reduction) == (2.0, "h", "sum")
    assert MyL1(0.3).get_config() == {"factor": 0.3}
    with keras.utils.custom_object_scope({"MyL1": MyL1}):
        layer = Dense(3, kernel_regularizer=MyL1(0.3))
        copy = Dense.from_config(layer.get_config())
    assert copy.kernel_regularizer.factor == 0.3


@pytest.mark.feature("1D-17b", "4G-83")
def test_reductions_of_a_loss() -> None:
    """4G-83: the sum over the batch's size, whatever the weights add up to."""
    weights = np.array([3.0, 1.0], "float32")
    y, p = np.zeros((2, 1), "float32"), np.array([[0.5], [0.25]], "float32")
    each = np.array([0.125, 0.03125])
    for reduction, expected in {
        "sum_over_batch_size": (each * weights).sum() / 2,
        "sum": (each * weights).sum(),
        None: each * weights,
    }.items():
        got = HuberLoss(reduction=reduction)(y, p, sample_weight=weights)
        np.testing.assert_allclose(np.ravel(got), np.ravel(expected), rtol=1e-6)
