# SPDX-License-Identifier: Apache-2.0
"""Record model files of one version of Keras, and what its models predict.

For each version an environment of its own, which may be thrown away:

    python -m venv k && k/bin/pip install keras==3.6.0 "jax[cpu]" h5py
    KERAS_BACKEND=jax k/bin/python tools/record_keras_files.py

    python -m venv k && k/bin/pip install tensorflow-cpu==2.15.1    # has Keras 2.15
    k/bin/python tools/record_keras_files.py

Keras 3.0 to 3.6 need jax==0.4.30 and numpy<2. Writes
tests/saving/golden/keras-VERSION.tar.xz: for each model the formats that the version
writes, and `expected.npz` with its inputs, outputs, and outputs after one more step of
training from the state in the file.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

sys.path.insert(0, "tests")
import subclassed_cases

GOLDEN = Path("tests/saving/golden")
RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("float32")


def sequential() -> tuple[Any, Any, Any]:
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(2, depth_multiplier=2),
            layers.LeakyReLU(0.1) if keras.__version__ > "3" else layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.0),
            layers.Dense(
                4,
                activation="tanh",
                kernel_regularizer=keras.regularizers.L2(0.01),
                kernel_constraint=keras.constraints.MaxNorm(2.0),
                kernel_initializer=keras.initializers.HeNormal(),
            ),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model, floats(8, 6, 6, 2), np.eye(2, dtype="float32")[[0, 1] * 4]


def functional() -> tuple[Any, Any, Any]:
    """Two inputs and outputs, a shared layer, a nested model, a schedule."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(5, activation="gelu", name="shared")
    inner = keras.Sequential(
        [keras.Input((5,)), layers.Dense(3), layers.LayerNormalization()], name="inner"
    )
    x = layers.Concatenate(name="both")([shared(a), inner(shared(b))])
    y = layers.Add()([shared(a), shared(b)])
    first = layers.Dense(2, name="first")(x)
    second = layers.Dense(1, name="second")(y)
    model = keras.Model([a, b], [first, second])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.5)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    model.compile(optimizer, ["mse", "mae"], loss_weights=[1.0, 0.5])
    return model, [floats(8, 4), floats(8, 4)], [floats(8, 2), floats(8, 1)]


def recurrent() -> tuple[Any, Any, Any]:
    model = keras.Sequential(
        [
            keras.Input((7,)),
            layers.Embedding(11, 4, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(4, return_sequences=True),
            layers.TimeDistributed(layers.Dense(3)),
            layers.SimpleRNN(2),
        ]
    )
    # Not another delta: no version but the latest writes it.
    model.compile(keras.optimizers.RMSprop(0.01), keras.losses.Huber())
    return model, RNG.integers(0, 11, (8, 7)).astype("float32"), floats(8, 2)


def attention() -> tuple[Any, Any, Any]:
    inputs = keras.Input((5, 4))
    x = layers.MultiHeadAttention(2, 3, name="mha")(inputs, inputs)
    x = layers.LayerNormalization()(layers.Add()([x, inputs]))
    model = keras.Model(inputs, layers.GlobalAveragePooling1D()(x))
    model.compile(keras.optimizers.AdamW(0.01), "mse")
    return model, floats(8, 5, 4), floats(8, 4)


def operators() -> tuple[Any, Any, Any]:
    """Ops as layers; Keras 3 only."""
    inputs = keras.Input((4,))
    x = keras.ops.relu(layers.Dense(4)(inputs)) * 2.0 + inputs[:, :1]
    x = keras.ops.concatenate([x, keras.ops.mean(inputs, -1, keepdims=True)], axis=-1)
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.compile("nadam" if keras.__version__ < "3.1" else "lion", "mse")
    return model, floats(8, 4), floats(8, 2)


class Scale(layers.Layer):
    """A class that a reader does not know; tests/saving/test_golden.py has it too."""

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.gain = self.add_weight(
            shape=(int(input_shape[-1]),), initializer="ones", name="gain"
        )
        self.built = True

    def call(self, x: Any) -> Any:
        return x * self.gain * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def half(x: Any) -> Any:
    return x * 0.5


def custom() -> tuple[Any, Any, Any]:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activation=half, name="halved"),
            Scale(3.0, name="scaled"),
            layers.Dense(2, name="last"),
        ]
    )
    model.compile("sgd", "mse")
    return model, floats(8, 4), floats(8, 2)


def subclassed() -> tuple[Any, Any, Any]:
    model = subclassed_cases.make(keras)["Subclassed"]()
    model.compile("adam", "mse")
    x = floats(8, 4)
    model(x)
    return model, x, floats(8, 2)


MODELS = (sequential, functional, recurrent, attention, operators, custom, subclassed)


def flat(values: Any) -> list[np.ndarray]:
    found = values if isinstance(values, (list, tuple)) else [values]
    return [np.asarray(value) for value in found]


def record(make: Any, folder: Path, expected: dict[str, np.ndarray]) -> None:
    model, x, y = make()
    name = make.__name__
    for weight in model.weights:  # not all zeros and ones, the counters aside
        if np.asarray(weight).dtype == "float32":
            weight.assign(RNG.uniform(0.2, 0.8, np.asarray(weight).shape))
    model.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
    for ending in ("keras", "h5", "weights.h5"):
        save = model.save_weights if ending == "weights.h5" else model.save
        path = folder / f"{name}.{ending}"
        try:
            save(str(path))
        except (ValueError, NotImplementedError) as error:
            # 3.0 cannot write all of its layers to .h5, none can write such classes.
            print(f"{path.name}: {error}")
            path.unlink(missing_ok=True)
    values = {"x": flat(x), "y": flat(y), "out": flat(model.predict(x, verbose=0))}
    model.fit(x, y, epochs=1, batch_size=8, shuffle=False, verbose=0)
    values["after"] = flat(model.predict(x, verbose=0))
    for key, arrays in values.items():
        for i, array in enumerate(arrays):
            expected[f"{name}/{key}/{i}"] = array


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    expected: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for make in MODELS:
            try:
                record(make, folder, expected)
            except AttributeError as error:  # Keras 2 has no ops
                print(f"{make.__name__}: {type(error).__name__}: {error}")
        np.savez_compressed(folder / "expected.npz", **expected)
        target = GOLDEN / f"keras-{keras.__version__}.tar.xz"
        with tarfile.open(target, "w:xz", preset=9) as file:
            for path in sorted(folder.iterdir(), key=lambda path: path.name):
                file.add(path, path.name)
    print(target, os.path.getsize(target))


if __name__ == "__main__":
    main()
