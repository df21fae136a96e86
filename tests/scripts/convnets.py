# SPDX-License-Identifier: Apache-2.0
"""Convolutional networks, functional and sequential."""

import keras
from keras import layers
from script_tools import fix, images, show, summary

inputs = keras.Input(shape=(12, 12, 1))
x = layers.Conv2D(filters=8, kernel_size=3, activation="relu")(inputs)
x = layers.MaxPooling2D(pool_size=2)(x)
x = layers.Conv2D(filters=12, kernel_size=3, activation="relu")(x)
x = layers.Flatten()(x)
outputs = layers.Dense(3, activation="softmax")(x)
model = keras.Model(inputs=inputs, outputs=outputs)
summary(model)
fix(model)
X, y = images(60, 12)
model.compile(
    optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)
h = model.fit(X, y, epochs=2, batch_size=20, shuffle=False, verbose=0)
show("history", h.history)
show("evaluate", model.evaluate(X, y, verbose=0))

model = keras.Sequential(
    [
        keras.Input(shape=(12, 12, 3)),
        layers.Rescaling(1.0 / 255),
        layers.Conv2D(8, 7, activation="relu", padding="SAME"),
        layers.MaxPool2D(2),
        layers.SeparableConv2D(8, 3, use_bias=False, padding="same"),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.SpatialDropout2D(0.0),
        layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        layers.AvgPool2D(2, padding="same"),
        layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
        layers.GlobalAvgPool2D(),
        layers.Dropout(0.0),
        layers.Dense(3, activation="softmax"),
    ]
)
summary(model)
fix(model)
X, y = images(60, 12, 3)
model.compile(
    "adam",
    keras.losses.SparseCategoricalCrossentropy(),
    metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(k=2)],
)
h = model.fit(
    X, y, epochs=2, batch_size=20, shuffle=False, verbose=0, validation_data=(X, y)
)
show("history", h.history)
show("names", [w.path for w in model.weights])
show("nontrainable", [w.path for w in model.non_trainable_weights])
show("moving", [model.layers[4].moving_mean, model.layers[4].moving_variance])
feature = keras.Model(model.inputs, [l.output for l in model.layers[:4]])
show("features", feature.predict(X[:2], verbose=0))
show("inputs", [l.input.shape for l in model.layers])
show("outputs", [l.output.shape for l in model.layers])
