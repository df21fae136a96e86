# SPDX-License-Identifier: Apache-2.0
"""Every kind of array trains, evaluates and predicts like the plain one."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import Sequential, layers
from fastnn.data import windows
from fastnn.utils import set_random_seed

RNG = np.random.default_rng(0)
X = RNG.integers(0, 255, (70, 6, 4)).astype("f")
Y = RNG.integers(0, 3, 70)
BATCH = 32  # and a last batch of 6


def make() -> Sequential:
    set_random_seed(0)
    model = Sequential(
        [
            layers.Input((6, 4)),
            layers.Flatten(),
            layers.Dense(8, "tanh"),
            layers.Dense(3, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def mapped(x: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "x.npy", x)
    return np.load(folder / "x.npy", mmap_mode="r")


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def unaligned(x: np.ndarray) -> np.ndarray:
    record = np.zeros(len(x), [("flag", "u1"), ("x", "f4", x.shape[1:])])
    record["x"] = x
    return record["x"]


class ArrayLike:
    def __init__(self, x: np.ndarray) -> None:
        self.x = x

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return self.x if dtype is None else self.x.astype(dtype)


KINDS = {
    "float64": lambda x, _: x.astype("d"),
    "float16": lambda x, _: x.astype("e"),
    "uint8": lambda x, _: x.astype("u1"),
    "int32": lambda x, _: x.astype("i4"),
    "big endian": lambda x, _: x.astype(">f4"),
    "Fortran order": lambda x, _: np.asfortranarray(x),
    "axes swapped": lambda x, _: x.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    "every second column": lambda x, _: np.repeat(x, 2, axis=2)[:, :, ::2],
    "every second row": lambda x, _: np.repeat(x, 2, axis=0)[::2],
    "a part of the columns": lambda x, _: np.pad(x, ((0, 0), (1, 2), (3, 1)))[
        :, 1:-2, 3:-1
    ],
    "backwards": lambda x, _: x[::-1].copy()[::-1],
    "repeated": lambda x, _: np.broadcast_to(x[:1], x.shape),
    "read-only": lambda x, _: read_only(x),
    "unaligned": lambda x, _: unaligned(x),
    "lists": lambda x, _: x.tolist(),
    "array-like": lambda x, _: ArrayLike(x),
    "memory-mapped": mapped,
    "memory-mapped uint8": lambda x, folder: mapped(x.astype("u1"), folder),
    "slice of a file": lambda x, folder: mapped(np.repeat(x, 2, axis=1), folder)[
        :, ::2
    ],
    "rows of a file": lambda x, folder: mapped(np.repeat(x, 3, axis=0), folder)[::3],
}


@pytest.mark.parametrize("where_it_lies", [False, True], ids=["copied", "in place"])
@pytest.mark.parametrize("kind", KINDS)
def test_kind(kind: str, where_it_lies: bool, tmp_path, monkeypatch) -> None:
    if where_it_lies:
        monkeypatch.setattr(windows, "DENSE_BYTES", 0)
    plain = np.broadcast_to(X[:1], X.shape).copy() if kind == "repeated" else X
    x = KINDS[kind](X, tmp_path)
    a, b = make(), make()
    for model, data in ((a, plain), (b, x)):
        set_random_seed(1)  # the same order of rows
        model.fit(data, Y, BATCH, epochs=2, verbose=0, validation_split=0.2)
    assert a.history.history == b.history.history
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)
    assert a.evaluate(plain, Y, verbose=0) == b.evaluate(x, Y, verbose=0)
    np.testing.assert_array_equal(a.predict(plain, verbose=0), b.predict(x, verbose=0))
    if not isinstance(x, list | ArrayLike):
        assert a.train_on_batch(plain[:9], Y[:9]) == b.train_on_batch(x[:9], Y[:9])


def test_targets_and_weights_may_lie_anywhere(monkeypatch) -> None:
    monkeypatch.setattr(windows, "DENSE_BYTES", 0)
    weight = np.linspace(0, 1, 70).astype("f")
    a, b = make(), make()
    set_random_seed(1)
    a.fit(X, Y, BATCH, sample_weight=weight, epochs=2, verbose=0)
    set_random_seed(1)
    y, w = np.repeat(Y, 2)[::2], np.repeat(weight, 3)[::3]
    assert not y.flags.c_contiguous and not w.flags.c_contiguous
    b.fit(X, y, BATCH, sample_weight=w, epochs=2, verbose=0)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(v, w)


def test_a_plan_with_strided_inputs_can_be_profiled(monkeypatch) -> None:
    monkeypatch.setattr(windows, "DENSE_BYTES", 0)
    model = make()
    model.fit(np.repeat(X, 2, axis=2)[:, :, ::2], Y, BATCH, verbose=0)
    assert model.plan().profile(3).steps == 3


def test_large_strided_data_is_not_copied(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(windows, "DENSE_BYTES", 0)
    rows = 100_000
    file = np.lib.format.open_memmap(
        tmp_path / "x.npy", "w+", dtype="f", shape=(rows, 6, 8)
    )
    file[:] = 1.0
    model, y = make(), np.zeros(rows, int)
    model.fit(X, Y, BATCH, verbose=0)
    for x in (file[:, :, ::2], file.astype("u1")[:, :, ::2], file[:, :, :4]):
        gc.collect()
        tracemalloc.start()
        model.fit(x, y, 1000, verbose=0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < x.size  # one byte per element: the permutation takes 0.8 MB


def test_data_frames(tmp_path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X.reshape(70, 24))
    results = []
    for x in (X.reshape(70, 24), frame):
        set_random_seed(0)
        model = Sequential([layers.Input((24,)), layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, pandas.Series(Y), BATCH, verbose=0)
        results.append(model.get_weights())
    for v, w in zip(*results, strict=True):
        np.testing.assert_array_equal(v, w)
