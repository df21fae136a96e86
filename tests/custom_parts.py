# SPDX-License-Identifier: Apache-2.0
"""Custom parts of the items 1D (features/items.txt), and data to train them on."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import keras, tf

RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 6)).astype("float32")
Y = (np.tanh(X @ RNG.standard_normal((6, 1))) + 0.5).astype("float32")


def huber_fn(y_true: Any, y_pred: Any) -> Any:
    error = y_true - y_pred
    small = tf.abs(error) < 1.0
    return tf.where(small, tf.square(error) / 2.0, tf.abs(error) - 0.5)


def create_huber(threshold: float = 1.0) -> Any:
    def huber(y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        small = tf.abs(error) < threshold
        linear = threshold * tf.abs(error) - threshold**2 / 2
        return tf.where(small, tf.square(error) / 2.0, linear)

    return huber


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return create_huber(self.threshold)(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


def my_softplus(z: Any) -> Any:
    return tf.math.log(tf.exp(z) + 1.0)


def my_glorot(shape: Any, dtype: str = "float32") -> Any:
    stddev = float(np.sqrt(2.0 / (shape[0] + shape[1])))
    return tf.random.normal(shape, stddev=stddev, dtype=dtype)


def my_l1(weights: Any) -> Any:
    return tf.reduce_sum(tf.abs(0.01 * weights))


def positive(weights: Any) -> Any:
    return tf.where(weights < 0.0, tf.zeros_like(weights), weights)


class MyL1(keras.regularizers.Regularizer):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, weights: Any) -> Any:
        return tf.reduce_sum(tf.abs(self.factor * weights))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor}


class Positive(keras.constraints.Constraint):
    def __call__(self, weights: Any) -> Any:
        return positive(weights)


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.huber = create_huber(threshold)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        metric = self.huber(tf.cast(y_true, tf.float32), y_pred)
        self.total.assign_add(tf.reduce_sum(metric))
        self.count.assign_add(tf.cast(tf.size(y_true), tf.float32))

    def result(self) -> Any:
        return self.total / self.count


class MyDense(keras.layers.Layer):
    def __init__(self, units: int, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape: Any) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=[batch_input_shape[-1], self.units],
            initializer="glorot_normal",
        )
        self.bias = self.add_weight(
            name="bias", shape=[self.units], initializer="zeros"
        )
        super().build(batch_input_shape)

    def call(self, x: Any) -> Any:
        return self.activation(x @ self.kernel + self.bias)

    def compute_output_shape(self, batch_input_shape: Any) -> Any:
        shape = tf.TensorShape(batch_input_shape)
        return tf.TensorShape(shape.as_list()[:-1] + [self.units])
