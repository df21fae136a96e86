# SPDX-License-Identifier: Apache-2.0
"""Training on the native plan: right numbers, the same bits, no allocation, no leak."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import mlp_numpy
import numpy as np
import pytest

import fastnn
from fastnn import _core, callbacks, layers, ops, optimizers
from fastnn.models import steps
from fastnn.utils import set_random_seed

GOLDEN = Path(__file__).parent / "golden"
SIZES = (20, 16, 12, 5)


def data(rows: int = 320) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, SIZES[0])).astype("f")
    return x, rng.integers(0, SIZES[-1], rows)


def initial_weights() -> list[np.ndarray]:
    rng = np.random.default_rng(2)
    out = []
    for a, b in pairwise(SIZES):
        out += [rng.normal(size=(a, b)).astype("f") * 0.3, np.full(b, 0.01, "f")]
    return out


def make_model(optimizer: Any = "sgd", **options: Any) -> Any:
    model = fastnn.Sequential(
        [
            layers.Input((SIZES[0],)),
            layers.Dense(SIZES[1], activation="relu"),
            layers.Dense(SIZES[2], activation="relu"),
            layers.Dense(SIZES[3], activation="softmax"),
        ]
    )
    model.set_weights(initial_weights())
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], **options)
    return model


class StepLosses(callbacks.Callback):
    """The loss of each batch, from the running means."""

    def on_train_begin(self, logs: Any = None) -> None:
        self.means: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.means.append(logs["loss"])

    def losses(self) -> list[float]:
        totals = [m * (i + 1) for i, m in enumerate(self.means)]
        return list(np.diff([0.0, *totals]))


OPTIMIZERS = {
    "sgd": (lambda: optimizers.SGD(0.1), lambda: mlp_numpy.SGD(0.1)),
    "momentum": (
        lambda: optimizers.SGD(0.05, momentum=0.9),
        lambda: mlp_numpy.Momentum(0.05, 0.9, False),
    ),
    "nesterov": (
        lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
        lambda: mlp_numpy.Momentum(0.05, 0.9, True),
    ),
    "rmsprop": (lambda: optimizers.RMSprop(0.01), lambda: mlp_numpy.RMSprop(0.01)),
    "adam": (lambda: optimizers.Adam(0.01), lambda: mlp_numpy.Adam(0.01)),
}


@pytest.mark.parametrize("eagerly", [False, True], ids=["plan", "eager"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_ten_losses_equal_float64_numpy(name: str, eagerly: bool) -> None:
    ours, oracle = (make() for make in OPTIMIZERS[name])
    x, y = data()
    model = make_model(ours, run_eagerly=eagerly)
    record = StepLosses()
    model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=[record])
    weights = [w.astype("float64") for w in initial_weights()]
    expected = []
    for i in range(10):
        rows = slice(32 * i, 32 * i + 32)
        loss, grads = mlp_numpy.loss_and_grads(weights, x[rows].astype("d"), y[rows])
        expected.append(loss)
        oracle.step(weights, grads)
    np.testing.assert_allclose(record.losses(), expected, rtol=1e-5)
    for ours_w, w in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours_w, w, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_first_ten_losses_equal_torch(name: str) -> None:
    """torch's losses, recorded by tools/record_torch_losses.py from the same weights
    and batches."""
    expected = json.loads((GOLDEN / "torch_losses.json").read_text())[name]
    x, y = data()
    model = make_model(OPTIMIZERS[name][0]())
    record = StepLosses()
    model.fit(x, y, batch_size=32, shuffle=False, verbose=0, callbacks=[record])
    np.testing.assert_allclose(record.losses(), expected, rtol=1e-5)


def _weights_after_two_epochs(threads: int, **options: Any) -> list[bytes]:
    before = _core.num_threads()
    _core.set_num_threads(threads)
    try:
        set_random_seed(3)
        model = fastnn.Sequential(
            [
                layers.Input((40,)),
                layers.Dense(200, activation="relu"),
                layers.Dropout(0.3),
                layers.Dense(100, activation="tanh"),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", **options)
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(500, 40)).astype("f"), rng.integers(0, 3, 500)
        model.fit(x, y, epochs=2, batch_size=64, verbose=0)
        assert threads == 1 or model._get_runner().plan().threads() > 1
        return [w.tobytes() for w in model.get_weights()]
    finally:
        _core.set_num_threads(before)


def test_the_same_bits_for_every_thread_count_and_every_run() -> None:
    one = _weights_after_two_epochs(1)
    assert _weights_after_two_epochs(2) == one
    assert _weights_after_two_epochs(3) == one
    assert _weights_after_two_epochs(2) == one


def test_plan_and_eager_train_alike() -> None:
    planned = _weights_after_two_epochs(1)
    eager = _weights_after_two_epochs(1, run_eagerly=True)
    for a, b in zip(planned, eager, strict=True):
        p, e = np.frombuffer(a, "f"), np.frombuffer(b, "f")
        np.testing.assert_allclose(p, e, rtol=1e-3, atol=1e-5)


def test_two_processes_train_the_same_bits() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "import hashlib, warnings\n"
        "import test_steps as t\n"
        "print(hashlib.sha256(b''.join(t._weights_after_two_epochs(2))).hexdigest())"
    )
    paths = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    runs = [
        subprocess.run(
            [sys.executable, "-c", code, *paths],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert runs[0] == runs[1] != ""


def test_a_running_plan_allocates_nothing() -> None:
    x, y = data()
    model = make_model()
    model.fit(x, y, batch_size=32, verbose=0)
    before = _core.memory_stats()
    plan = model._get_runner().plan()
    for _ in range(3):
        model.fit(x, y, batch_size=32, epochs=3, verbose=0)
    assert _core.memory_stats() == before
    assert model._get_runner().plan() is plan, "an epoch compiled a plan again"


def test_later_epochs_know_how_many_steps_a_call_may_take(monkeypatch: Any) -> None:
    model, (x, y) = make_model(), data(320)
    calls: list[int] = []
    run = steps.Program.run

    def counted(program: Any, arrays: Any, n: int = 1) -> Any:
        calls.append(n)
        return run(program, arrays, n)

    monkeypatch.setattr(steps.Program, "run", counted)
    monkeypatch.setattr(steps, "CALL_SECONDS", 1e9)  # the machine may stand still
    model.fit(x, y, batch_size=1, epochs=2, verbose=0)
    assert calls == [1, 100, 219, 100, 220]


def test_shuffling_visits_every_row_once() -> None:
    seen = fastnn.Variable(np.zeros(50, "f"), trainable=False)

    class Counting(fastnn.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs: Any) -> Any:
            seen.assign(seen + ops.sum(ops.one_hot(inputs[:, 0], 50), axis=0))
            return self.dense(inputs)

    model = Counting()
    model.compile("sgd", "mse")
    x = np.arange(50, dtype="f")[:, None]
    model.predict(x[:2], verbose=0)
    seen.assign(np.zeros(50, "f"))
    model.fit(x, x * 0, batch_size=8, epochs=3, verbose=0)
    np.testing.assert_array_equal(seen.numpy(), np.full(50, 3.0))


def test_what_cannot_be_traced_runs_eagerly_with_one_warning_naming_the_line() -> None:
    class Peeking(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs if float(ops.sum(inputs)) > 0 else inputs * 2.0

    model = fastnn.Sequential([layers.Input((3,)), Peeking(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((40, 3), "f"), np.ones((40, 1), "f")
    with pytest.warns(UserWarning, match=r"runs eagerly.*test_steps.py:\d+"):
        model.fit(x, y, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(x, y, epochs=20, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize(
    "convert",
    [
        lambda a: a,
        lambda a: a.astype("float64"),
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a.tolist(),
        lambda a: a[::-1][::-1],
    ],
    ids=["float32", "float64", "fortran", "strided", "lists", "reversed"],
)
def test_every_layout_of_the_data_trains_the_same(convert: Any) -> None:
    x, y = data()
    plain, other = make_model(), make_model()
    plain.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    other.fit(convert(x), y, batch_size=32, shuffle=False, verbose=0)
    for a, b in zip(plain.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_uint8_images_are_converted_in_the_gather() -> None:
    x = np.random.default_rng(0).integers(0, 255, (64, 4, 5)).astype("uint8")
    y = (x.mean((1, 2)) > 127).astype("int64")
    set_random_seed(0)

    def model_for() -> Any:
        set_random_seed(0)
        model = fastnn.Sequential(
            [layers.Input((4, 5)), layers.Flatten(), layers.Dense(2, "softmax")]
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    a, b = model_for(), model_for()
    a.fit(x, y, shuffle=False, verbose=0)
    b.fit(x.astype("f"), y, shuffle=False, verbose=0)
    for p, q in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(p, q)


def test_evaluate_and_predict_agree_with_numpy() -> None:
    x, y = data()
    model = make_model()
    probabilities = mlp_numpy.forward(
        [w.astype("d") for w in model.get_weights()], x.astype("d")
    )[-1]
    np.testing.assert_allclose(
        model.predict(x, verbose=0), probabilities, rtol=1e-5, atol=1e-7
    )
    loss, accuracy = model.evaluate(x, y, verbose=0, batch_size=50)
    expected = -np.log(probabilities[np.arange(len(y)), y]).mean()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert accuracy == pytest.approx((probabilities.argmax(1) == y).mean())


def test_train_on_batch_continues_from_fit() -> None:
    x, y = data(64)
    a, b = make_model("adam"), make_model("adam")
    a.fit(x, y, batch_size=32, shuffle=False, verbose=0)
    b.train_on_batch(x[:32], y[:32])
    b.train_on_batch(x[32:], y[32:])
    for p, q in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(p, q)


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copied_model_trains_on_with_its_optimizer_state(clone: Any) -> None:
    x, y = data()
    model = make_model("adam")
    model.fit(x, y, verbose=0)
    other = clone(model)
    assert [w.path for w in other.weights] == [w.path for w in model.weights]
    for m in (model, other):
        m.fit(x, y, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
