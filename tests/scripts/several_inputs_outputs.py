# SPDX-License-Identifier: Apache-2.0
"""Several inputs and outputs: lists, dicts, shared layers."""

import keras
import numpy as np
from keras import layers
from script_tools import fix, show, summary

vocabulary_size, num_tags, num_departments = 20, 10, 4
title = keras.Input(shape=(vocabulary_size,), name="title")
text_body = keras.Input(shape=(vocabulary_size,), name="text_body")
tags = keras.Input(shape=(num_tags,), name="tags")
features = layers.Concatenate()([title, text_body, tags])
features = layers.Dense(16, activation="relu")(features)
priority = layers.Dense(1, activation="sigmoid", name="priority")(features)
department = layers.Dense(num_departments, activation="softmax", name="department")(
    features
)
model = keras.Model(inputs=[title, text_body, tags], outputs=[priority, department])
fix(model)
summary(model)
rng = np.random.Generator(np.random.PCG64(0))
n = 64
title_data = rng.integers(0, 2, size=(n, vocabulary_size)).astype("float32")
body = rng.integers(0, 2, size=(n, vocabulary_size)).astype("float32")
tags_data = rng.integers(0, 2, size=(n, num_tags)).astype("float32")
priority_data = rng.random(size=(n, 1)).astype("float32")
department_data = np.eye(num_departments, dtype="float32")[
    rng.integers(0, num_departments, size=n)
]
kw = dict(epochs=1, batch_size=16, shuffle=False, verbose=0)
model.compile(
    optimizer="rmsprop",
    loss=["mean_squared_error", "categorical_crossentropy"],
    metrics=[["mean_absolute_error"], ["accuracy"]],
)
h = model.fit([title_data, body, tags_data], [priority_data, department_data], **kw)
show("list", h.history)
show(
    "eval",
    model.evaluate(
        [title_data, body, tags_data], [priority_data, department_data], verbose=0
    ),
)
show("pred", model.predict([title_data, body, tags_data], verbose=0))
model.compile(
    optimizer="rmsprop",
    loss={"priority": "mean_squared_error", "department": "categorical_crossentropy"},
    loss_weights={"priority": 0.9, "department": 0.1},
    metrics={"priority": ["mean_absolute_error"], "department": ["accuracy"]},
)
h = model.fit(
    {"title": title_data, "text_body": body, "tags": tags_data},
    {"priority": priority_data, "department": department_data},
    validation_split=0.25,
    **kw,
)
show("dict", h.history)
show(
    "eval dict",
    model.evaluate(
        {"title": title_data, "text_body": body, "tags": tags_data},
        {"priority": priority_data, "department": department_data},
        verbose=0,
        return_dict=True,
    ),
)
show("output_names", model.output_names)
features2 = model.layers[4].output
difficulty = layers.Dense(3, activation="softmax", name="difficulty")(features2)
new_model = keras.Model(
    inputs=[title, text_body, tags], outputs=[priority, department, difficulty]
)
summary(new_model)
show("layers", [l.name for l in new_model.layers])
d = keras.Model(
    {"a": title, "b": tags, "c": text_body}, {"p": priority, "d": department}
)
show("dict out", d({"a": title_data[:2], "b": tags_data[:2], "c": body[:2]}))
d.compile(
    "sgd", loss={"p": "mse", "d": "categorical_crossentropy"}, metrics={"d": "accuracy"}
)
h = d.fit(
    {"a": title_data, "b": tags_data, "c": body},
    {"p": priority_data, "d": department_data},
    **kw,
)
show("dict model", h.history)
show("dict pred", d.predict({"a": title_data, "b": tags_data, "c": body}, verbose=0))
shared = layers.Dense(4, name="shared")
s = keras.Model(
    [title, text_body], layers.Subtract()([shared(title), shared(text_body)])
)
summary(s)
show("shared", len(s.weights))
try:
    shared.output
except Exception as e:
    print(type(e).__name__)
