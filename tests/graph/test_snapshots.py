# SPDX-License-Identifier: Apache-2.0
"""The plans of five reference models, as text: a pure refactor must not change them.

After a wanted change, FASTNN_WRITE_SNAPSHOTS=1 writes them anew; read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers, regularizers
from fastnn.utils import clear_session

FOLDER = Path(__file__).parent / "snapshots"


def _mlp(inputs: int, hidden: tuple[int, ...], last: Any) -> Any:
    stack = [layers.Input((inputs,))]
    stack += [layers.Dense(n, activation="relu") for n in hidden]
    return fastnn.Sequential([*stack, last])


def mlp32() -> Any:
    model = _mlp(784, (300, 100), layers.Dense(10, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, 784, lambda n: np.zeros(n, "int64"), 32


def mlp128() -> Any:
    model = _mlp(784, (784,), layers.Dense(10, activation="softmax"))
    model.compile("rmsprop", "categorical_crossentropy", metrics=["accuracy"])
    return model, 784, lambda n: np.eye(10, dtype="f")[np.zeros(n, int)], 128


def reg32() -> Any:
    model = _mlp(8, (30,), layers.Dense(1))
    model.compile("sgd", "mse")
    return model, 8, lambda n: np.zeros((n, 1), "f"), 32


def dropout64() -> Any:
    model = fastnn.Sequential(
        [
            layers.Input((20,)),
            layers.Dense(50, activation="elu"),
            layers.Dropout(0.5, seed=1),
            layers.Dense(50, activation="tanh"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model, 20, lambda n: np.zeros(n, "int64"), 64


def binary16() -> Any:
    model = fastnn.Sequential(
        [
            layers.Input((12,)),
            layers.Dense(8, "sigmoid", kernel_regularizer=regularizers.L2(0.01)),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=1.0)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model, 12, lambda n: np.zeros((n, 1), "f"), 16


MODELS: list[Callable[[], Any]] = [mlp32, mlp128, reg32, dropout64, binary16]


@pytest.mark.parametrize("make", MODELS, ids=lambda m: m.__name__)
def test_plan_is_as_recorded(make: Callable[[], Any]) -> None:
    clear_session()
    model, inputs, targets, batch = make()
    n = 2 * batch
    model.fit(np.zeros((n, inputs), "f"), targets(n), batch_size=batch, verbose=0)
    text = model.plan().listing()
    path = FOLDER / f"{make.__name__}.plan"
    if os.environ.get("FASTNN_WRITE_SNAPSHOTS"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.feature("1D-1d")
def test_an_mlp_step_is_two_phases() -> None:
    for make in (mlp32, mlp128, reg32):
        text = (FOLDER / f"{make.__name__}.plan").read_text()
        assert text.count("-- phase") == 2, make.__name__
