# SPDX-License-Identifier: Apache-2.0
"""Subclassed models, added losses, a train_step of their own."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from script_tools import fix, regression, show


class CustomerTicketModel(keras.Model):
    def __init__(self, num_departments):
        super().__init__()
        self.concat_layer = layers.Concatenate()
        self.mixing_layer = layers.Dense(16, activation="relu")
        self.priority_scorer = layers.Dense(1, activation="sigmoid")
        self.department_classifier = layers.Dense(num_departments, activation="softmax")

    def call(self, inputs):
        title = inputs["title"]
        tags = inputs["tags"]
        features = self.concat_layer([title, tags])
        features = self.mixing_layer(features)
        return self.priority_scorer(features), self.department_classifier(features)


rng = np.random.Generator(np.random.PCG64(0))
data = {
    "title": rng.random((40, 6)).astype("f"),
    "tags": rng.random((40, 3)).astype("f"),
}
p, d = rng.random((40, 1)).astype("f"), np.eye(4, dtype="f")[rng.integers(0, 4, 40)]
model = CustomerTicketModel(4)
priority, department = model(data)
fix(model)
show("call", [priority.shape, department.shape])
model.compile(
    optimizer="rmsprop",
    loss=["mean_squared_error", "categorical_crossentropy"],
    metrics=[["mean_absolute_error"], ["accuracy"]],
)
h = model.fit(data, [p, d], epochs=2, batch_size=20, shuffle=False, verbose=0)
show("history", h.history)
show("evaluate", model.evaluate(data, [p, d], batch_size=40, verbose=0))
show("weights", [w.path for w in model.weights])


class Residual(layers.Layer):
    def __init__(self, n, units, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [
            layers.Dense(units, activation="elu", kernel_initializer="he_normal")
            for _ in range(n)
        ]

    def call(self, inputs):
        Z = inputs
        for layer in self.hidden:
            Z = layer(Z)
        return inputs + Z


class Regressor(keras.models.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden1 = layers.Dense(8, activation="elu")
        self.block1 = Residual(2, 8)
        self.out = layers.Dense(1)
        self.reconstruct_mean = keras.metrics.Mean(name="reconstruction_error")

    def build(self, batch_input_shape):
        self.reconstruct = layers.Dense(batch_input_shape[-1])
        self.built = True

    def call(self, inputs, training=None):
        Z = self.hidden1(inputs)
        for _ in range(3):
            Z = self.block1(Z)
        r = self.reconstruct(Z)
        loss = keras.ops.mean(keras.ops.square(r - inputs))
        self.add_loss(0.05 * loss)
        if training:
            self.reconstruct_mean(loss)
        return self.out(Z)


X, Y = regression(64)
m = Regressor(name="reg")
m(X[:2])
fix(m, 0.2)
m.compile(loss="mse", optimizer=keras.optimizers.Nadam(0.01), metrics=["mae"])
h = m.fit(X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0)
show("history", h.history)
show(
    "trainable",
    [
        len(m.trainable_variables),
        len(m.non_trainable_variables),
        len(m.layers),
        [l.name for l in m.layers],
    ],
)
m.block1.trainable = False
show("frozen", [len(m.trainable_weights), len(m.non_trainable_weights)])


class CustomModel(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}

    def test_step(self, data):
        x, y = data
        y_pred = self(x, training=False)
        self.compute_loss(y=y, y_pred=y_pred)
        for metric in self.metrics:
            if metric.name != "loss":
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


inputs = keras.Input(shape=(8,))
cm = CustomModel(inputs, layers.Dense(1)(layers.Dense(4, activation="relu")(inputs)))
fix(cm)
cm.compile(optimizer="adam", loss="mse", metrics=["mae"])
show("custom", cm.fit(X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0).history)
show("custom eval", cm.evaluate(X, Y, verbose=0))
loss_tracker = keras.metrics.Mean(name="loss")
mae_metric = keras.metrics.MeanAbsoluteError(name="mae")


class Low(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = keras.losses.mean_squared_error(y, y_pred)
        trainable_vars = self.trainable_variables
        gradients = tape.gradient(loss, trainable_vars)
        self.optimizer.apply_gradients(zip(gradients, trainable_vars))
        loss_tracker.update_state(loss)
        mae_metric.update_state(y, y_pred)
        return {"loss": loss_tracker.result(), "mae": mae_metric.result()}

    @property
    def metrics(self):
        return [loss_tracker, mae_metric]


low = Low(inputs, layers.Dense(1)(inputs))
fix(low)
low.compile(optimizer=keras.optimizers.SGD(0.001))
show("low", low.fit(X, Y, epochs=3, batch_size=16, shuffle=False, verbose=0).history)
