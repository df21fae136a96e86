# SPDX-License-Identifier: Apache-2.0
"""Epochs that nobody watches run several at a time, with the numbers of single ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, metrics, optimizers
from fastnn.models import quiet


class Watching(callbacks.Callback):
    """Has no hook, but is there: every epoch is run by itself."""


def _model(**options: Any) -> Any:
    fastnn.utils.set_random_seed(5)
    model = fastnn.Sequential(
        [
            layers.Input((6,)),
            layers.Dense(9, "tanh"),
            layers.Dropout(0.2),
            layers.Dense(1),
        ]
    )
    settings: dict[str, Any] = {"optimizer": "sgd", "loss": "mse", **options}
    model.compile(**settings)
    return model


def _data(n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 6)).astype("f")
    return x, x[:, :1] * 2 + 1


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many epochs each native call ran."""
    seen: list[int] = []
    real = quiet.run_epochs

    def noted(plans: Any, inputs: Any, seeds: Any, *rest: Any) -> Any:
        seen.append(len(seeds))
        return real(plans, inputs, seeds, *rest)

    monkeypatch.setattr(quiet, "run_epochs", noted)
    return seen


OPTIONS: list[dict[str, Any]] = [
    {},
    {"metrics": ["mae", metrics.MeanSquaredError(name="a")]},
    {"weighted_metrics": ["mse"]},
    {"optimizer": "adam"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("n", "shuffle"), [(96, True), (100, True), (100, False)])
def test_numbers_are_those_of_epochs_run_one_by_one(
    options: dict[str, Any], n: int, shuffle: bool, calls: list[int]
) -> None:
    results = []
    for watched in (True, False):
        model = _model(**options)
        history = model.fit(
            *_data(n),
            batch_size=32,
            epochs=40,
            shuffle=shuffle,
            verbose=0,
            callbacks=[Watching()] if watched else None,
        )
        if watched:
            assert calls == []
        iterations = int(model.optimizer.iterations)
        state = fastnn.seeds.get_state()
        results.append(
            (history.history, history.epoch, model.get_weights(), iterations, state)
        )
    assert sum(calls) > 30
    (logs, epochs, weights, *rest), other = results[0], results[1]
    assert (logs, epochs, rest) == (other[0], other[1], list(other[3:]))
    assert epochs == list(range(40))
    for a, b in zip(weights, other[2], strict=True):
        np.testing.assert_array_equal(a, b)


def test_learning_rates_follow_their_schedule(calls: list[int]) -> None:
    weights = []
    for watched in (True, False):
        rate = optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)
        model = _model(optimizer=optimizers.SGD(rate))
        told = [Watching()] if watched else None
        model.fit(*_data(), epochs=20, verbose=0, callbacks=told)
        weights.append(model.get_weights())
    assert sum(calls) > 10
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


class Highest(metrics.Mean):
    def result(self) -> Any:
        return super().result() * 2


class OwnStep(fastnn.Sequential):
    def train_step(self, data: Any) -> Any:
        return super().train_step(data)


@pytest.mark.parametrize(
    "case", ["validation", "callback", "metric", "step", "eager", "verbose"]
)
def test_what_must_be_looked_at_is_run_epoch_by_epoch(
    case: str, calls: list[int], capsys: Any
) -> None:
    x, y = _data(96)
    options: dict[str, Any] = {"verbose": 2 if case == "verbose" else 0}
    model = _model(run_eagerly=case == "eager")
    if case == "validation":
        options["validation_data"] = (x, y)
    if case == "callback":
        options["callbacks"] = [callbacks.EarlyStopping("loss", patience=1)]
    if case == "metric":
        model = _model(metrics=[metrics.RootMeanSquaredError()])
    if case == "step":
        model = OwnStep([layers.Input((6,)), layers.Dense(1)])
        model.compile("sgd", "mse")
    model.fit(x, y, epochs=6, **options)
    assert calls == []


def test_a_loss_of_nan_warns_once(calls: list[int]) -> None:
    x, y = _data(96)
    model = _model()
    with pytest.warns(UserWarning, match="the loss is NaN") as seen:
        model.fit(x, y * np.float32(1e30), epochs=30, verbose=0)
    assert len(seen) == 1
    assert sum(calls) > 20


def test_the_next_call_sees_changed_data(calls: list[int]) -> None:
    x, y = _data(96)
    model, other = _model(), _model()
    for m, watched in ((model, False), (other, True)):
        a, b = x.copy(), y.copy()
        fastnn.utils.set_random_seed(9)
        for _ in range(3):
            told = [Watching()] if watched else None
            m.fit(a, b, epochs=10, verbose=0, callbacks=told)
            b += 1
    assert calls
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_that_ran_before_an_interrupt_are_in_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = quiet.run_epochs

    def interrupted(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    model = _model()
    model.fit(*_data(96), batch_size=32, verbose=0)
    monkeypatch.setattr(quiet, "run_epochs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*_data(96), batch_size=32, epochs=50, verbose=0)
    ran = int(model.optimizer.iterations) // 3 - 1
    assert ran > 2
    assert model.history.epoch == list(range(ran))
    assert len(model.history.history["loss"]) == ran
