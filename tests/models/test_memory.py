# SPDX-License-Identifier: Apache-2.0
"""Calls that are repeated for ever keep nothing: less than 1 KiB each."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import Sequential, layers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 20)).astype("f")
Y = RNG.integers(0, 3, 64)
ONE = X[:1]
LIMIT = 1024  # bytes per call


def make() -> Sequential:
    model = Sequential(
        [
            layers.Input((20,)),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def traced() -> int:
    return tracemalloc.get_traced_memory()[0]


def least_slope(call: Callable[[], Any], count: int, size: Callable[[], int]) -> float:
    """Bytes per call in the best of five windows: what leaks, leaks in all of them."""
    best = float("inf")
    for _ in range(5):
        gc.collect()
        before = size()
        for _ in range(count):
            call()
        gc.collect()
        best = min(best, (size() - before) / count)
        if best < LIMIT:
            break
    return best


def check(call: Callable[[], Any], count: int) -> None:
    for _ in range(count // 2):
        call()
    assert least_slope(call, count, resident) < LIMIT
    tracemalloc.start()
    try:
        call()
        # Not fewer: free lists and dicts that grow once are some KiB at a time.
        assert least_slope(call, max(count // 10, 20), traced) < LIMIT
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def model():
    return make()


CALLS = {
    "predict": (lambda m: m.predict(ONE, verbose=0), 10_000),
    "predict, converted": (lambda m: m.predict(ONE.astype("d"), verbose=0), 500),
    "predict_on_batch": (lambda m: m.predict_on_batch(ONE), 3000),
    "model(x)": (lambda m: m(ONE), 2000),
    "train_on_batch": (lambda m: m.train_on_batch(X, Y), 10_000),
    "test_on_batch": (lambda m: m.test_on_batch(X, Y), 2000),
    "evaluate": (lambda m: m.evaluate(X, Y, verbose=0), 300),
    "fit": (lambda m: m.fit(X, Y, verbose=0), 300),
    "plan().profile": (lambda m: m.plan("test").profile(2), 300),
}


@pytest.mark.parametrize("name", CALLS)
def test_repeated_calls(name: str, model: Any) -> None:
    call, count = CALLS[name]
    model.evaluate(X, Y, verbose=0)
    check(lambda: call(model), count)


def test_models_that_come_and_go() -> None:
    def one() -> None:
        model = make()
        model.fit(X, Y, batch_size=40, verbose=0)
        model.predict(ONE, verbose=0)
        model.train_on_batch(X, Y)

    check(one, 200)
