# SPDX-License-Identifier: Apache-2.0
"""Functional models that fastnn and Keras build from the same code, with their data.

tools/record_keras_functional.py trains them with Keras; the tests with fastnn. Only
names that both have may be used here, and NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# What Keras made of them, by name of the case.
GOLDEN = Path(__file__).parent / "models" / "golden" / "keras_functional.json"

ROWS, BATCH, EPOCHS = 22, 4, 2  # 6 steps an epoch, the last one on 2 rows


class Case(NamedTuple):
    """A model, what it is compiled with (without the optimizer), and its data."""

    model: Any
    compile: dict[str, Any]
    x: Any
    y: Any
    sample_weight: Any = None


def _data(seed: int, *shape: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(ROWS, *shape)).astype("float32")


def _labels(seed: int, classes: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, ROWS).astype("int32")


def _weights(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 2.0, ROWS).astype("float32")


def two_ends(keras: Any) -> Case:
    """Two inputs, two outputs, weights of losses and samples."""
    layers, ops = keras.layers, keras.ops
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    left = layers.Dense(5, activation="tanh", name="left")(a)
    right = layers.Dense(5, name="right")(b)
    joined = ops.concatenate([left, right], axis=-1)
    value = layers.Dense(1, name="value")(joined)
    label = layers.Dense(3, activation="softmax", name="label")(joined)
    return Case(
        keras.Model([a, b], [value, label], name="two_ends"),
        {
            "loss": ["mse", "sparse_categorical_crossentropy"],
            "loss_weights": [0.7, 1.3],
            "metrics": [["mae"], ["accuracy"]],
        },
        [_data(1, 4), _data(2, 3)],
        [_data(3, 1), _labels(4, 3)],
        [_weights(5), _weights(6)],
    )


def by_name(keras: Any) -> Case:
    """The same with everything in dicts by the outputs' names."""
    case = two_ends(keras)
    loss, metrics = case.compile["loss"], case.compile["metrics"]
    return Case(
        case.model,
        {
            "loss": {"label": loss[1], "value": loss[0]},
            "loss_weights": {"label": 0.5, "value": 2.0},
            "metrics": {"label": metrics[1]},
            "weighted_metrics": {"value": ["mae"], "label": ["accuracy"]},
        },
        {"b": case.x[1], "a": case.x[0]},
        {"label": case.y[1], "value": case.y[0]},
    )


def dicts(keras: Any) -> Case:
    """Dicts of inputs and of outputs, whose keys are not the layers' names."""
    layers = keras.layers
    inputs = {
        "words": keras.Input((6,), name="words"),
        "extra": keras.Input((2,), name="extra"),
    }
    h = layers.Dense(4, activation="relu", name="h")(inputs["words"])
    g = layers.Dense(4, activation="relu", name="g")(inputs["extra"])
    outputs = {
        "yes": layers.Dense(1, activation="sigmoid", name="p")(h + g),
        "amount": layers.Dense(2, name="q")(h - g),
    }
    return Case(
        keras.Model(inputs, outputs, name="dicts"),
        {
            "loss": {"yes": "binary_crossentropy", "amount": "mae"},
            "metrics": {"yes": ["accuracy"], "amount": ["mse"]},
            "loss_weights": {"yes": 1.0, "amount": 0.25},
        },
        {"words": _data(7, 6), "extra": _data(8, 2)},
        {"yes": _labels(9, 2).astype("float32")[:, None], "amount": _data(10, 2)},
        {"yes": _weights(11), "amount": _weights(12)},
    )


def siamese(keras: Any) -> Case:
    """One layer on both inputs."""
    layers, ops = keras.layers, keras.ops
    a, b = keras.Input((6,), name="first"), keras.Input((6,), name="second")
    shared = layers.Dense(5, activation="tanh", name="shared")
    apart = ops.abs(shared(a) - shared(b))
    same = layers.Dense(1, activation="sigmoid", name="same")(apart)
    return Case(
        keras.Model([a, b], same, name="siamese"),
        {"loss": "binary_crossentropy", "metrics": ["accuracy", "mae"]},
        [_data(13, 6), _data(14, 6)],
        _labels(15, 2).astype("float32"),
        _weights(16),
    )


def nested(keras: Any) -> Case:
    """A functional model and a Sequential as layers, one of them called twice."""
    layers, ops = keras.layers, keras.ops
    x = keras.Input((3,), name="inner_in")
    y = layers.Dense(3, activation="relu", name="inner_dense")(x)
    inner = keras.Model(x, x + y, name="inner")
    stack = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, activation="tanh", name="stack_0"),
            layers.Dense(2, name="stack_1"),
        ],
        name="stack",
    )
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    merged = inner(a) * 0.5 + inner(b)
    out = layers.Dense(1, name="out")(ops.concatenate([stack(merged), merged], axis=1))
    return Case(
        keras.Model([a, b], out, name="nested"),
        {"loss": "mse", "metrics": ["mae"]},
        (_data(17, 3), _data(18, 3)),
        _data(19, 1),
    )


def residual(keras: Any) -> Case:
    """Residual blocks of operations, a reduction and indexing."""
    layers, ops = keras.layers, keras.ops
    x = keras.Input((6, 4), name="x")
    y = x
    for i in range(2):
        h = layers.Dense(4, name=f"block{i}_a")(y)
        h = layers.Dense(4, name=f"block{i}_b")(ops.relu(h))
        y = ops.relu(y + 0.5 * h)
    pooled = ops.mean(y, axis=1) - ops.max(y, axis=1) / 2 + y[:, 0] ** 2
    out = layers.Dense(3, activation="softmax", name="out")(pooled)
    return Case(
        keras.Model(x, out, name="residual"),
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
        _data(20, 6, 4),
        _labels(21, 3),
    )


def penalties(keras: Any) -> Case:
    """Losses of layers: add_loss, regularizers (a shared one too), of activations."""
    layers, ops = keras.layers, keras.ops

    class Penalty(layers.Layer):
        def call(self, inputs):
            self.add_loss(0.1 * ops.mean(ops.square(inputs)))
            return inputs

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(
        3,
        activation="tanh",
        kernel_regularizer=keras.regularizers.L2(0.05),
        activity_regularizer=keras.regularizers.L1(0.01),
        name="shared",
    )
    joined = Penalty(name="penalty")(ops.concatenate([shared(a), shared(b)], axis=-1))
    out = layers.Dense(2, bias_regularizer=keras.regularizers.L1(0.02), name="out")(
        joined
    )
    return Case(
        keras.Model([a, b], out, name="penalties"),
        {"loss": "mse", "weighted_metrics": ["mae"]},
        [_data(22, 4), _data(23, 4)],
        _data(24, 2),
        _weights(25),
    )


def one_loss_of_two(keras: Any) -> Case:
    """An output without loss and target, another with two metrics."""
    layers = keras.layers
    x = keras.Input((4,), name="x")
    h = layers.Dense(3, activation="relu", name="h")(x)
    out = layers.Dense(1, name="out")(h)
    return Case(
        keras.Model(x, [out, h], name="one_loss_of_two"),
        {"loss": ["mse", None], "metrics": [["mae", "mse"], None]},
        _data(26, 4),
        [_data(27, 1), _data(28, 3)],
    )


CASES = {
    case.__name__: case
    for case in (
        two_ends,
        by_name,
        dicts,
        siamese,
        nested,
        residual,
        penalties,
        one_loss_of_two,
    )
}


def start(model: Any) -> None:
    """Gives every weight values that depend on its place and shape only."""
    rng = np.random.default_rng(99)
    model.set_weights(
        [rng.uniform(-0.7, 0.7, w.shape).astype("float32") for w in model.weights]
    )


def flat(structure: Any) -> list[np.ndarray]:
    """Arrays of a structure; those of a dict in the order of the keys."""
    if isinstance(structure, dict):
        return [a for key in sorted(structure) for a in flat(structure[key])]
    if isinstance(structure, (list, tuple)):
        return [a for one in structure for a in flat(one)]
    return [np.asarray(structure)]


def train(keras: Any, case: Case, **options: Any) -> dict[str, Any]:
    """Trains from the start with SGD; what came of it, as plain data."""
    model = case.model
    model.compile(keras.optimizers.SGD(0.1), **case.compile, **options)
    start(model)
    fitted = model.fit(
        case.x,
        case.y,
        sample_weight=case.sample_weight,
        batch_size=BATCH,
        epochs=EPOCHS,
        shuffle=False,
        verbose=0,
    )
    given = {"sample_weight": case.sample_weight, "batch_size": BATCH, "verbose": 0}
    values = model.evaluate(case.x, case.y, **given)
    named = model.evaluate(case.x, case.y, return_dict=True, **given)
    outputs = model.predict(case.x, batch_size=BATCH, verbose=0)
    kind = type(outputs).__name__
    return {
        "history": {k: [float(v) for v in vs] for k, vs in fitted.history.items()},
        "evaluate": [float(v) for v in flat(values)],
        "named": {name: float(value) for name, value in named.items()},
        "predict": [array.astype("float64").tolist() for array in flat(outputs)],
        "structure": sorted(outputs) if isinstance(outputs, dict) else kind,
        "weights": [np.asarray(w).tolist() for w in model.get_weights()],
        "paths": [w.path for w in model.weights],
    }
