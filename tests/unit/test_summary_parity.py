# SPDX-License-Identifier: Apache-2.0
"""Tables of layers beside those that an installed Keras prints, line by line."""

from __future__ import annotations

import os
from typing import Any

import pytest

from fastnn import keras as own

os.environ.setdefault("KERAS_BACKEND", "jax")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        keras.__name__ != "keras" or keras.__version__ < "3.15",
        reason="needs Keras 3.15",
    ),
]


def chain(lib: Any) -> Any:
    layers = lib.layers
    parts = [
        lib.Input((28, 28, 3)),
        layers.Conv2D(64, 3, name="a_name_that_goes_beyond_the_end_of_every_column_x"),
        layers.Flatten(name="flat"),
        layers.Dense(10, name="a_rather_long_name_of_a_layer", trainable=False),
        layers.BatchNormalization(name="norm"),
    ]
    return lib.Sequential(parts, name="chain")


def branches(lib: Any) -> Any:
    layers, x = lib.layers, lib.Input((28, 28, 3), name="images")
    a = layers.Conv2D(64, 3, name="left_branch_with_a_long_name")(x)
    b = layers.Conv2D(64, 3, name="right")(x)
    y = lib.ops.relu(layers.Concatenate(name="joined")([a, b, a]))
    y = layers.Dense(7, name="end")(layers.Flatten(name="flat")(y))
    return lib.Model(x, [y, b], name="branches")


def nested(lib: Any) -> Any:
    layers, x = lib.layers, lib.Input((9, 9, 3), name="images")
    inner = lib.Model(x, layers.Conv2D(2, 3, name="inside")(x), name="inner")
    flat = layers.Flatten(name="flat")
    return lib.Sequential([lib.Input((9, 9, 3)), inner, flat], name="nested")


def states(lib: Any) -> Any:
    x = lib.Input((5, 3), name="steps")
    y = lib.layers.LSTM(4, return_state=True, name="lstm")(x)
    return lib.Model(x, y, name="states")


# Lines shorter than the terminal: Keras cuts off the rest of longer ones.
@pytest.mark.parametrize("length", [60, 70, 76, 80, 88, 95, 108, 121, 140])
@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("make", [chain, branches, nested, states])
@pytest.mark.parametrize("positions", [None, [0.3, 0.5, 0.75, 0.9], [0.4, 0.6, 0.8, 1]])
def test_tables_are_keras_tables(make, trainable, length, positions, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    printed = []
    for lib in (keras, own):
        lines: list[str] = []
        make(lib).summary(
            length,
            positions,
            lines.append,
            expand_nested=True,
            show_trainable=trainable,
        )
        text = "\n".join(lines).splitlines()
        printed.append([line.rstrip() for line in text if line.strip()])
    assert printed[1] == printed[0]
