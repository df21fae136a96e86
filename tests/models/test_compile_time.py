# SPDX-License-Identifier: Apache-2.0
"""The plan of a training step is made in milliseconds, and twice the layers take about
twice as long.

Measured on the development machine (Xeon at 2.5 GHz, ten processes sharing its caches,
least of five): 5.5 ms for three layers, 77 to 92 ms for a hundred; the limits are
twice that. Making a plan is Python on one thread, so its processor time is taken: other
processes stretch the wall's time tenfold, this one by a half.
"""

from __future__ import annotations

import gc
import time

import numpy as np
import pytest

from fastnn import Input, Sequential
from fastnn.graph import spec
from fastnn.layers import Dense

MLP_MS = 10
DEEP_MS = 180


@pytest.fixture(autouse=True)
def as_a_user_has_it(monkeypatch: pytest.MonkeyPatch):
    """Without the checks of the tests, and without the search for garbage among all
    that thousands of tests before have left: that took as long as the plan.
    """
    monkeypatch.setattr(spec, "CHECK", False)
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def compile_ms(widths: list[int], repeats: int = 5) -> float:
    """Least processor time of a new model's first `fit` of a batch less its second."""
    x, y = np.zeros((32, 784), np.float32), np.zeros(32, np.int32)
    found = []
    for _ in range(repeats):
        hidden = [Dense(width, activation="relu") for width in widths]
        model = Sequential([Input((784,)), *hidden, Dense(10, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        seconds = []
        for _ in range(2):
            start = time.thread_time()
            model.fit(x, y, batch_size=32, verbose=0)
            seconds.append(time.thread_time() - start)
        found.append(1e3 * (seconds[0] - seconds[1]))
    return min(found)


def test_an_mlp_compiles_in_ten_milliseconds():
    assert 0 < compile_ms([300, 100]) < MLP_MS


def test_a_hundred_layers_compile_in_a_fraction_of_a_second():
    assert 0 < compile_ms([100] * 100) < DEEP_MS


def test_compile_time_grows_with_the_layers_and_not_with_their_square():
    # In turns: a neighbour that slows the clock for a second must not meet one alone.
    turns = [[compile_ms([32] * n, 1) for n in (50, 100)] for _ in range(6)]
    half, whole = (min(times) for times in zip(*turns, strict=True))
    assert whole < 3 * half
