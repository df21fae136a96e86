# SPDX-License-Identifier: Apache-2.0
"""Recurrent networks on texts, time series and short films."""

import keras
import numpy as np
from keras import layers, ops
from script_tools import fix, show, summary

rng = np.random.default_rng(3)

# A text: which of two halves of the vocabulary is used more.
tokens = [rng.integers(1, 30, size=n) for n in rng.integers(4, 13, 80)]
labels = np.array([np.mean(t > 15) > 0.5 for t in tokens], dtype="float32")
padded = keras.utils.pad_sequences(tokens, maxlen=10, padding="post")
show("padded", padded[:2])

for cell in (layers.LSTM, layers.GRU, layers.SimpleRNN):
    model = keras.Sequential(
        [
            keras.Input(shape=(None,), dtype="int32"),
            layers.Embedding(30, 8, mask_zero=True),
            cell(6),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    fix(model)
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    h = model.fit(padded, labels, epochs=2, batch_size=20, shuffle=False, verbose=0)
    show(cell.__name__, (h.history, model.predict(padded[:3], verbose=0)))

inputs = keras.Input(shape=(None,), dtype="int32")
x = layers.Embedding(30, 8, mask_zero=True)(inputs)
x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
x = layers.Bidirectional(layers.GRU(4), merge_mode="sum")(x)
outputs = layers.Dense(1, activation="sigmoid")(x)
model = keras.Model(inputs, outputs)
show("parameters", model.count_params())
fix(model)
model.compile("adam", "binary_crossentropy", metrics=["acc"])
h = model.fit(padded, labels, epochs=2, batch_size=16, shuffle=False, verbose=0)
show("bidirectional", (h.history, model.evaluate(padded, labels, verbose=0)))

# A time series: the value after 12 steps, from windows of a dataset.
time = np.arange(400) / 10
series = (np.sin(time) + 0.1 * np.cos(7 * time)).astype("float32")[:, None]
windows = keras.utils.timeseries_dataset_from_array(
    series[:-12], series[12:, 0], sequence_length=12, batch_size=32
)
x = np.concatenate([np.asarray(batch) for batch, _ in windows])
y = np.concatenate([np.asarray(target) for _, target in windows])
show("windows", (x.shape, y.shape, y[:3]))

model = keras.Sequential(
    [
        keras.Input(shape=(12, 1)),
        layers.Conv1D(6, 3, padding="causal", activation="relu"),
        layers.GRU(8, return_sequences=True, recurrent_dropout=0.0),
        layers.LSTM(6, go_backwards=True, unroll=True),
        layers.Dense(1),
    ]
)
summary(model)
fix(model)
model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
h = model.fit(x[:300], y[:300], epochs=2, shuffle=False, verbose=0)
show("series", (h.history, model.evaluate(x[300:], y[300:], verbose=0)))

model = keras.Sequential(
    [
        keras.Input(shape=(12, 1)),
        layers.RNN([layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True),
        layers.TimeDistributed(layers.Dense(2, activation="relu")),
        layers.Flatten(),
        layers.Dense(1),
    ]
)
fix(model)
model.compile("sgd", "mse")
show("stacked", model.fit(x, y, epochs=1, shuffle=False, verbose=0).history)

# The state is kept from one batch to the next.
model = keras.Sequential(
    [
        keras.Input(batch_shape=(8, 3, 1)),
        layers.LSTM(4, stateful=True),
        layers.Dense(1),
    ]
)
fix(model)
first = model(x[:8, :3])
second = model(x[:8, :3])
model.layers[0].reset_state()
again = model(x[:8, :3])
show("stateful", (first[:2], second[:2], bool(np.allclose(first, again))))

# The next frame of a film.
films = rng.random((12, 5, 6, 6, 1), dtype="float32")
inputs = keras.Input(shape=(None, 6, 6, 1))
z = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(inputs)
z = layers.BatchNormalization()(z)
z = layers.ConvLSTM2D(2, 1, padding="same", return_sequences=True, activation="relu")(z)
outputs = layers.Conv3D(1, 3, padding="same", activation="sigmoid")(z)
model = keras.Model(inputs, outputs, name="films")
summary(model)
fix(model)
model.compile("rmsprop", "binary_crossentropy")
h = model.fit(
    films[:, :-1], films[:, 1:], epochs=1, batch_size=4, shuffle=False, verbose=0
)
show(
    "films", (h.history, ops.mean(model.predict(films[:2], verbose=0), axis=(2, 3, 4)))
)

# A sequence into another: the encoder's states begin the decoder's.
source = keras.Input(shape=(None, 4))
_, *states = layers.LSTM(5, return_state=True)(source)
target = keras.Input(shape=(None, 3))
z = layers.LSTM(5, return_sequences=True)(target, initial_state=states)
outputs = layers.Dense(3, activation="softmax")(z)
model = keras.Model([source, target], outputs)
fix(model)
model.compile("adam", "categorical_crossentropy")
one_hot = np.eye(3, dtype="float32")[rng.integers(0, 3, (24, 7))]
data = [rng.random((24, 6, 4), dtype="float32"), one_hot[:, :-1]]
h = model.fit(data, one_hot[:, 1:], epochs=2, batch_size=8, shuffle=False, verbose=0)
show("translated", h.history)
