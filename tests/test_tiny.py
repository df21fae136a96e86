# SPDX-License-Identifier: Apache-2.0
"""The smoke test: ten seconds, no file but this one, only the installed package.

`make smoke` runs it against the repaired wheel in an environment without a compiler.
"""

from __future__ import annotations

import numpy as np
import pytest

import fastnn as keras


def blobs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 4) around three corners, and the corner of each (count,)."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 3, count)
    x = np.eye(3, 4)[label] * 3 + draw.normal(0, 0.5, (count, 4))
    return x.astype(np.float32), label


def classifier() -> keras.Sequential:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_classifier_learns():
    x, y = blobs(600, seed=0)
    model = classifier()
    history = model.fit(x, y, batch_size=32, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    x_new, y_new = blobs(300, seed=1)
    _, accuracy = model.evaluate(x_new, y_new, verbose=0)
    probabilities = model.predict(x_new, verbose=0)
    assert accuracy > 0.95
    assert accuracy == pytest.approx(np.mean(probabilities.argmax(axis=1) == y_new))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_two_runs_give_the_same_bits():
    x, y = blobs(200, seed=0)
    runs = []
    for _ in range(2):
        model = classifier()
        model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        runs.append(model.get_weights())
    for one, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_gradient_of_a_formula():
    x = keras.Variable(np.array([0.5, -2.0], np.float32))
    with keras.GradientTape() as tape:
        y = keras.ops.sum(x * x * x)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [0.75, 12.0], rtol=1e-6)


def test_the_native_core_is_the_one_of_this_version():
    from fastnn import _core

    assert _core.version == keras.__version__
    assert _core.isa() in _core.available_isas()


def test_wrong_shapes_are_told():
    with pytest.raises(ValueError, match=r"4.*5|5.*4"):
        classifier().predict(np.zeros((2, 5), np.float32), verbose=0)
