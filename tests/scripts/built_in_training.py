# SPDX-License-Identifier: Apache-2.0
"""compile, fit and evaluate in all their forms; schedules."""

import keras
import numpy as np
from keras import layers, ops
from script_tools import blobs, fix, show

X, y = blobs(90, 6)


def get_uncompiled_model():
    inputs = keras.Input(shape=(6,), name="digits")
    x = layers.Dense(16, activation="relu", name="dense_1")(inputs)
    x = layers.Dense(16, activation="relu", name="dense_2")(x)
    outputs = layers.Dense(3, activation="softmax", name="predictions")(x)
    return fix(keras.Model(inputs=inputs, outputs=outputs))


def custom_mean_squared_error(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


m = get_uncompiled_model()
m.compile(optimizer=keras.optimizers.Adam(), loss=custom_mean_squared_error)
show(
    "fn",
    m.fit(
        X, ops.one_hot(y, 3), batch_size=30, epochs=1, shuffle=False, verbose=0
    ).history,
)


class CustomMSE(keras.losses.Loss):
    def __init__(self, regularization_factor=0.1, name="custom_mse"):
        super().__init__(name=name)
        self.regularization_factor = regularization_factor

    def call(self, y_true, y_pred):
        mse = ops.mean(ops.square(y_true - y_pred), axis=-1)
        reg = ops.mean(ops.square(0.5 - y_pred), axis=-1)
        return mse + reg * self.regularization_factor


m = get_uncompiled_model()
m.compile(optimizer=keras.optimizers.Adam(), loss=CustomMSE())
show(
    "class",
    m.fit(
        X, ops.one_hot(y, 3), batch_size=30, epochs=1, shuffle=False, verbose=0
    ).history,
)


class CategoricalTruePositives(keras.metrics.Metric):
    def __init__(self, name="categorical_true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.true_positives = self.add_variable(
            shape=(), name="ctp", initializer="zeros"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_pred = ops.reshape(ops.argmax(y_pred, axis=1), (-1, 1))
        values = ops.cast(y_true, "int32") == ops.cast(y_pred, "int32")
        values = ops.cast(values, "float32")
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, "float32")
            values = ops.multiply(values, sample_weight)
        self.true_positives.assign_add(ops.sum(values))

    def result(self):
        return self.true_positives.value

    def reset_state(self):
        self.true_positives.assign(0)


m = get_uncompiled_model()
m.compile(
    optimizer=keras.optimizers.RMSprop(learning_rate=1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(),
    metrics=[CategoricalTruePositives()],
)
show(
    "metric",
    m.fit(X, y[:, None], batch_size=30, epochs=2, shuffle=False, verbose=0).history,
)


class ActivityRegularizationLayer(layers.Layer):
    def call(self, inputs):
        self.add_loss(ops.sum(inputs) * 0.01)
        return inputs


inputs = keras.Input(shape=(6,), name="digits")
x = layers.Dense(8, activation="relu", name="d1")(inputs)
x = ActivityRegularizationLayer()(x)
outputs = layers.Dense(3, name="predictions")(x)
m = fix(keras.Model(inputs=inputs, outputs=outputs))
m.compile(
    optimizer="rmsprop",
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
show("add_loss", m.fit(X, y, batch_size=30, epochs=1, shuffle=False, verbose=0).history)


class ExampleSequence(keras.utils.PyDataset):
    def __init__(self, x, y, batch_size, **kw):
        super().__init__(**kw)
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return int(np.ceil(len(self.x) / float(self.batch_size)))

    def __getitem__(self, idx):
        s = slice(idx * self.batch_size, (idx + 1) * self.batch_size)
        return np.array(self.x[s]), np.array(self.y[s])


m = get_uncompiled_model()
m.compile(
    optimizer="rmsprop",
    loss="sparse_categorical_crossentropy",
    metrics=["sparse_categorical_accuracy"],
    weighted_metrics=["accuracy"],
)
seq = ExampleSequence(X, y, 30)
show(
    "seq",
    m.fit(
        seq,
        epochs=2,
        verbose=0,
        shuffle=False,
        validation_data=ExampleSequence(X, y, 30),
    ).history,
)
show("seq eval", m.evaluate(seq, verbose=0))
show("seq pred", m.predict(seq, verbose=0))


def gen():
    while True:
        for i in range(3):
            yield X[i * 30 : (i + 1) * 30], y[i * 30 : (i + 1) * 30]


show(
    "gen",
    m.fit(
        gen(),
        steps_per_epoch=3,
        epochs=2,
        verbose=0,
    ).history,
)
class_weight = {0: 1.0, 1: 1.0, 2: 2.0}
show(
    "class weight",
    m.fit(
        X,
        y,
        class_weight=class_weight,
        batch_size=30,
        epochs=1,
        shuffle=False,
        verbose=0,
    ).history,
)
sw = np.ones(90)
sw[y == 1] = 2.0
show(
    "sample weight",
    m.fit(
        X,
        y,
        sample_weight=sw,
        batch_size=30,
        epochs=1,
        shuffle=False,
        verbose=0,
        validation_data=(X, y, sw),
    ).history,
)
show("weighted eval", m.evaluate(X, y, sample_weight=sw, verbose=0, return_dict=True))
show("steps", m.evaluate(gen(), steps=2, verbose=0))
show(
    "freq",
    list(
        m.fit(
            X, y, epochs=3, validation_data=(X, y), validation_freq=2, verbose=0
        ).history.items()
    )[-1][0],
)

image_input = keras.Input(shape=(8, 8, 3), name="img_input")
timeseries_input = keras.Input(shape=(None, 4), name="ts_input")
x1 = layers.Conv2D(3, 3)(image_input)
x1 = layers.GlobalMaxPooling2D()(x1)
x2 = layers.Conv1D(3, 3)(timeseries_input)
x2 = layers.GlobalMaxPooling1D()(x2)
x = layers.concatenate([x1, x2])
score_output = layers.Dense(1, name="score_output")(x)
class_output = layers.Dense(5, name="class_output")(x)
m = fix(
    keras.Model(
        inputs=[image_input, timeseries_input], outputs=[score_output, class_output]
    )
)
m.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss={
        "score_output": keras.losses.MeanSquaredError(),
        "class_output": keras.losses.CategoricalCrossentropy(),
    },
    metrics={
        "score_output": [
            keras.metrics.MeanAbsolutePercentageError(),
            keras.metrics.MeanAbsoluteError(),
        ],
        "class_output": [keras.metrics.CategoricalAccuracy()],
    },
    loss_weights={"score_output": 2.0, "class_output": 1.0},
)
rng = np.random.Generator(np.random.PCG64(0))
img, ts = rng.random((40, 8, 8, 3)).astype("f"), rng.random((40, 20, 4)).astype("f")
st, ct = rng.random((40, 1)).astype("f"), np.eye(5, dtype="f")[rng.integers(0, 5, 40)]
show(
    "multi",
    m.fit(
        [img, ts], [st, ct], batch_size=20, epochs=1, shuffle=False, verbose=0
    ).history,
)
show(
    "multi",
    m.fit(
        {"img_input": img, "ts_input": ts},
        {"score_output": st, "class_output": ct},
        batch_size=20,
        epochs=1,
        shuffle=False,
        verbose=0,
    ).history,
)
show("multi eval", m.evaluate([img, ts], [st, ct], verbose=0))
m = fix(keras.Model.from_config(m.get_config()))
m.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss=[None, keras.losses.CategoricalCrossentropy()],
)
show(
    "one loss",
    m.fit(
        [img, ts], [st, ct], batch_size=20, epochs=1, shuffle=False, verbose=0
    ).history,
)
m = fix(keras.Model.from_config(m.get_config()))
m.compile(optimizer="sgd", loss="mse")
show(
    "loss for all",
    m.fit(
        [img, ts], [st, ct], batch_size=20, epochs=1, shuffle=False, verbose=0
    ).history,
)
for s in [
    keras.optimizers.schedules.ExponentialDecay(
        0.1, decay_steps=100, decay_rate=0.96, staircase=True
    ),
    keras.optimizers.schedules.PiecewiseConstantDecay([5, 10], [1.0, 0.5, 0.1]),
    keras.optimizers.schedules.PolynomialDecay(0.1, 20),
    keras.optimizers.schedules.InverseTimeDecay(0.1, 5, 0.5),
    keras.optimizers.schedules.CosineDecay(0.1, 20, warmup_steps=5, warmup_target=0.3),
    keras.optimizers.schedules.CosineDecayRestarts(0.1, 6),
]:
    show(type(s).__name__, [float(s(i)) for i in (0, 3, 5, 6, 11, 19, 30)])
    show("cfg", s.get_config())
d = get_uncompiled_model()
d.compile("adam", "sparse_categorical_crossentropy", metrics=["acc"])
show("acc", list(d.fit(X, y, verbose=0, validation_split=0.1).history))
