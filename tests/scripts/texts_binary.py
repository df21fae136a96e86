# SPDX-License-Identifier: Apache-2.0
"""Texts as bags of words, two classes, regularizers and weights of classes."""

import keras
import numpy as np
from keras import layers, regularizers
from script_tools import fix, sentences, show, summary

data, labels = sentences(100, 10, 40)


def vectorize_sequences(sequences, dimension=40):
    results = np.zeros((len(sequences), dimension))
    for i, sequence in enumerate(sequences):
        results[i, sequence] = 1.0
    return results


x_train = vectorize_sequences(data)
y_train = np.asarray(labels).astype("float32")
model = keras.Sequential(
    [
        layers.Dense(16, kernel_regularizer=regularizers.l2(0.002), activation="relu"),
        layers.Dense(
            16,
            kernel_regularizer=regularizers.L1L2(l1=0.001, l2=0.001),
            activation="relu",
        ),
        layers.Dense(1, activation="sigmoid"),
    ]
)
try:
    summary(model)
    print("built", model.built)
except Exception as e:
    print(type(e).__name__)
try:
    print(len(model.weights))
except Exception as e:
    print(type(e).__name__, e)
model.build((None, 40))
fix(model)
model.compile(
    optimizer=keras.optimizers.RMSprop(learning_rate=0.001),
    loss="binary_crossentropy",
    metrics=[
        "accuracy",
        keras.metrics.Precision(),
        keras.metrics.Recall(name="rec"),
        keras.metrics.AUC(name="auc"),
    ],
)
x_val, partial_x = x_train[:30], x_train[30:]
y_val, partial_y = y_train[:30], y_train[30:]
h = model.fit(
    partial_x,
    partial_y,
    epochs=4,
    batch_size=16,
    validation_data=(x_val, y_val),
    shuffle=False,
    verbose=0,
)
show("keys", list(h.history.keys()))
show("history", h.history)
show("losses", [float(v) for v in model.losses])
show("results", model.evaluate(x_val, y_val, verbose=0))
show("predict", model.predict(x_val, verbose=0))
h = model.fit(
    partial_x,
    partial_y,
    epochs=6,
    initial_epoch=4,
    batch_size=16,
    validation_split=0.2,
    shuffle=False,
    verbose=0,
    class_weight={0: 1.0, 1: 3.0},
)
show("history 2", h.history)
show("epochs", h.epoch)
h = model.fit(
    partial_x,
    partial_y,
    epochs=1,
    batch_size=16,
    sample_weight=np.linspace(0, 1, 70),
    shuffle=False,
    verbose=0,
)
show("history 3", h.history)
