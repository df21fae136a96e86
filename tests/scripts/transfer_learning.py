# SPDX-License-Identifier: Apache-2.0
"""Layers reused, frozen and thawed; clones, files, nested summaries."""

import keras
import numpy as np
from keras import layers
from script_tools import fix, images, show, summary

X, y = images(60, 12, 1)
A = keras.Sequential(
    [
        layers.Flatten(input_shape=[12, 12, 1]),
        layers.BatchNormalization(),
        layers.Dense(10, activation="selu", kernel_initializer="lecun_normal"),
        layers.BatchNormalization(),
        layers.Dense(3, activation="softmax"),
    ]
)
fix(A)
A.compile(
    loss="sparse_categorical_crossentropy",
    optimizer=keras.optimizers.SGD(learning_rate=1e-2),
    metrics=["accuracy"],
)
A.fit(X, y, epochs=1, batch_size=20, shuffle=False, verbose=0)
A.save("A.keras")
A2 = keras.models.load_model("A.keras")
show(
    "same",
    bool(np.allclose(A2.predict(X, verbose=0), A.predict(X, verbose=0), atol=1e-6)),
)
B = keras.models.Sequential(A2.layers[:-1])
B.add(layers.Dense(1, activation="sigmoid", name="new"))
B.build((None, 12, 12, 1))
for layer in B.layers[:-1]:
    layer.trainable = False
B.compile(
    loss="binary_crossentropy",
    optimizer=keras.optimizers.SGD(learning_rate=1e-2),
    metrics=["accuracy"],
)
B.layers[-1].set_weights([np.linspace(-1, 1, 10).reshape(10, 1), np.zeros(1)])
summary(B)
show("counts", [len(B.trainable_weights), len(B.non_trainable_weights)])
yb = (y == 1).astype("float32")
h = B.fit(
    X, yb, epochs=2, batch_size=20, shuffle=False, verbose=0, validation_data=(X, yb)
)
show("frozen", h.history)
for layer in B.layers[:-1]:
    layer.trainable = True
B.compile(
    loss="binary_crossentropy",
    optimizer=keras.optimizers.SGD(learning_rate=1e-3),
    metrics=["accuracy"],
)
h = B.fit(X, yb, epochs=2, batch_size=20, shuffle=False, verbose=0)
show("unfrozen", h.history)
clone = keras.models.clone_model(A)
clone.set_weights(A.get_weights())
show("clone", clone.predict(X[:3], verbose=0))
base = keras.Model(A.inputs, A.layers[-2].output, name="base")
base.trainable = False
inputs = keras.Input((12, 12, 1))
out = layers.Dense(2)(base(inputs, training=False))
top = keras.Model(inputs, out, name="top")
summary(top)
summary(top, expand_nested=True, show_trainable=True)
show(
    "top", [len(top.trainable_weights), len(top.weights), [l.name for l in top.layers]]
)
show(
    "get_layer",
    [
        A.get_layer(index=1).name,
        A.get_layer("dense_1").name
        if any(l.name == "dense_1" for l in A.layers)
        else A.layers[-1].name,
    ],
)
try:
    A.get_layer("nothere")
except ValueError as e:
    print("ValueError")
A.save_weights("A.weights.h5")
A.load_weights("A.weights.h5")
A.save("A.h5")
show("h5", keras.models.load_model("A.h5").predict(X[:2], verbose=0))
j = A.to_json()
m = keras.models.model_from_json(j)
m.set_weights(A.get_weights())
show("json", m.predict(X[:2], verbose=0))


class MCDropout(layers.Dropout):
    def call(self, inputs):
        return super().call(inputs, training=True)


mc = keras.models.Sequential(
    [MCDropout(0.5) if isinstance(l, layers.Dropout) else l for l in A.layers]
)
show("mc", mc.predict(X[:2], verbose=0).shape)
c2 = keras.models.clone_model(
    A, clone_function=lambda l: l.__class__.from_config(l.get_config())
)
show("c2", [l.name for l in c2.layers])
