# SPDX-License-Identifier: Apache-2.0
"""Own layers, losses, metrics, regularizers, and their configs."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from script_tools import fix, regression, show, summary

X, Y = regression(60)


@keras.saving.register_keras_serializable(package="my")
class MyDense(layers.Layer):
    def __init__(self, units, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.activation = keras.activations.get(activation)

    def build(self, batch_input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=[batch_input_shape[-1], self.units],
            initializer="glorot_normal",
        )
        self.bias = self.add_weight(
            name="bias", shape=[self.units], initializer="zeros"
        )
        super().build(batch_input_shape)

    def call(self, X):
        return self.activation(X @ self.kernel + self.bias)

    def compute_output_shape(self, batch_input_shape):
        return (*batch_input_shape[:-1], self.units)

    def get_config(self):
        base_config = super().get_config()
        return {
            **base_config,
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
        }


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **kwargs):
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        small = ops.abs(error) < self.threshold
        return ops.where(
            small,
            ops.square(error) / 2,
            self.threshold * ops.abs(error) - self.threshold**2 / 2,
        )

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


class HuberMetric(keras.metrics.Metric):
    def __init__(self, threshold=1.0, **kwargs):
        super().__init__(**kwargs)
        self.threshold = threshold
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        e = ops.abs(y_true - y_pred)
        self.total.assign_add(ops.sum(e))
        self.count.assign_add(ops.cast(ops.size(y_true), "float32"))

    def result(self):
        return self.total / self.count

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable()
class MyL1Regularizer(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return ops.sum(ops.abs(self.factor * weights))

    def get_config(self):
        return {"factor": self.factor}


def my_softplus(z):
    return ops.log(1.0 + ops.exp(z))


def my_positive_weights(weights):
    return ops.where(weights < 0.0, ops.zeros_like(weights), weights)


def my_glorot(shape, dtype="float32"):
    return keras.random.normal(shape, stddev=0.1, dtype=dtype, seed=1) * 0 + 0.1


def huber_fn(y_true, y_pred):
    error = y_true - y_pred
    return tf.where(tf.abs(error) < 1, tf.square(error) / 2, tf.abs(error) - 0.5)


model = keras.Sequential(
    [
        keras.Input((8,)),
        MyDense(6, activation="tanh"),
        layers.Dense(
            4,
            activation=my_softplus,
            kernel_initializer=my_glorot,
            kernel_regularizer=MyL1Regularizer(0.01),
            kernel_constraint=my_positive_weights,
        ),
        layers.Lambda(lambda x: x * 2),
        layers.Dense(1, kernel_constraint=keras.constraints.MaxNorm(1.0)),
    ]
)
fix(model)
model.compile(
    loss=HuberLoss(1.5), optimizer="nadam", metrics=[HuberMetric(2.0), "mae", huber_fn]
)
show(
    "history",
    model.fit(X, Y, epochs=2, batch_size=20, shuffle=False, verbose=0).history,
)
model.compile(
    loss=huber_fn, optimizer=keras.optimizers.Adam(clipnorm=1.0), metrics=["mae"]
)
show("fn", model.fit(X, Y, epochs=2, batch_size=20, shuffle=False, verbose=0).history)
show("ws", [float(np.min(model.layers[1].get_weights()[0])) >= 0])
c = model.layers[0].get_config()
c.pop("dtype")
show("cfg", c)
again = MyDense.from_config(model.layers[0].get_config())
show("again", [again.units, again.name])
show("serialized", keras.saving.serialize_keras_object(MyL1Regularizer(0.3)))
show("reg", float(MyL1Regularizer(0.5)(np.ones((2, 3), "f"))))
h = HuberLoss()(np.zeros((4, 1), "f"), np.array([[0.5], [1.0], [2.0], [3.0]], "f"))
show("loss", h)
p = keras.metrics.Precision()
show("p", p([0, 1, 1, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 1, 0, 1]))
show("p", p([0, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 0, 0]))
show("p", p.result())
show("vars", [(v.name, v.numpy().astype("float32")) for v in p.variables])
p.reset_state()
show("p", p.result())
inp = keras.Input((8,))
z = MyDense(3)(inp)
z = ops.concatenate([z, inp], axis=-1)
z = ops.relu(z) + ops.mean(z, axis=-1, keepdims=True)
mm = keras.Model(inp, layers.Dense(1)(z), name="mm")
summary(mm)
mm.save("mm.keras")
mm2 = keras.models.load_model("mm.keras")
show(
    "reload",
    bool(np.allclose(mm.predict(X, verbose=0), mm2.predict(X, verbose=0), atol=1e-6)),
)


class ActivityReg(layers.Layer):
    def __init__(self, rate=1e-2):
        super().__init__()
        self.rate = rate

    def call(self, inputs):
        self.add_loss(self.rate * ops.mean(inputs))
        return inputs


ar = ActivityReg()
ar(np.ones((2, 2), "f"))
show("losses", [float(v) for v in ar.losses])
ar(np.ones((2, 2), "f") * 2)
show("losses", [float(v) for v in ar.losses])


class Antirectifier(layers.Layer):
    def __init__(self, initializer="he_normal", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        d = input_shape[-1]
        self.kernel = self.add_weight(
            shape=(d * 2, d),
            initializer=self.initializer,
            name="kernel",
            trainable=True,
        )

    def call(self, inputs):
        inputs -= ops.mean(inputs, axis=-1, keepdims=True)
        pos = ops.relu(inputs)
        neg = ops.relu(-inputs)
        c = ops.concatenate([pos, neg], axis=-1)
        return ops.matmul(c, self.kernel)


am = keras.Sequential(
    [keras.Input((8,)), Antirectifier(), Antirectifier(), layers.Dense(1)]
)
fix(am)
am.compile("rmsprop", "mse")
show("anti", am.fit(X, Y, epochs=2, batch_size=20, shuffle=False, verbose=0).history)
