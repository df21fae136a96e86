# SPDX-License-Identifier: Apache-2.0
"""Switches of `fastnn.config`: what is printed where, limits, tracebacks."""

from __future__ import annotations

import logging
import subprocess
import sys
import traceback
from collections.abc import Iterator

import numpy as np
import pytest

from fastnn import Sequential, callbacks, config, layers

X, Y = np.ones((40, 3), "float32"), np.ones((40, 1), "float32")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    config.enable_interactive_logging()
    config.enable_traceback_filtering()
    config.enable_flash_attention()
    config.set_max_epochs(None)
    config.set_max_steps_per_epoch(None)


def made() -> Sequential:
    model = Sequential([layers.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


class Counter(callbacks.Callback):
    """Counts epochs and batches."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = self.batches = 0

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.epochs += 1

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.batches += 1

    on_test_batch_end = on_predict_batch_end = on_train_batch_end


def test_switches_are_on_as_in_keras() -> None:
    assert config.is_interactive_logging_enabled()
    assert config.is_traceback_filtering_enabled()
    assert config.is_flash_attention_enabled() is None
    config.disable_flash_attention()
    assert config.is_flash_attention_enabled() is False
    assert not config.is_nnx_enabled()
    assert config.max_epochs() is None and config.max_steps_per_epoch() is None
    with pytest.warns(UserWarning, match="has no effect"):
        config.enable_unsafe_deserialization()


def test_epochs_are_limited() -> None:
    counter = Counter()
    config.set_max_epochs(2)
    with pytest.warns(UserWarning, match=r"\[fit\] 5 epochs are limited to 2"):
        made().fit(X, Y, epochs=5, verbose=0, callbacks=[counter])
    assert counter.epochs == 2
    made().fit(X, Y, epochs=2, verbose=0)  # no warning


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while True:
        yield X[:8], Y[:8]


def test_steps_are_limited() -> None:
    config.set_max_steps_per_epoch(3)
    model, counter = made(), Counter()
    with pytest.warns(UserWarning, match=r"\[fit\] 5 steps are limited to 3"):
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0, callbacks=[counter])
    assert (counter.epochs, counter.batches) == (2, 6)
    with pytest.warns(UserWarning, match=r"\[fit\] 4 steps are limited to 3"):
        model.fit(batches(), steps_per_epoch=4, verbose=0, callbacks=[counter])
    assert counter.batches == 9
    with pytest.warns(UserWarning, match=r"\[evaluate\] all steps are limited to 3"):
        model.evaluate(batches(), verbose=0, callbacks=[counter])
    assert counter.batches == 12
    with pytest.warns(UserWarning, match=r"\[predict\] 5 steps"):
        assert model.predict(X, 8, verbose=0).shape == (24, 1)
    assert model.predict(X, 20, verbose=0).shape == (40, 1)
    model.fit(X, Y, batch_size=20, verbose=0)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_limits_are_positive_integers(value: object) -> None:
    for setter in (config.set_max_epochs, config.set_max_steps_per_epoch):
        with pytest.raises(ValueError, match=r"\[set_max_\w+\] .* positive integer"):
            setter(value)


def test_limits_of_the_environment() -> None:
    code = (
        "from fastnn import config as c; print(c.max_epochs(), c.max_steps_per_epoch())"
    )
    names = {"KERAS_MAX_EPOCHS": "3", "KERAS_MAX_STEPS_PER_EPOCH": "12"}
    run = subprocess.run(
        [sys.executable, "-c", f"import os; os.environ.update({names})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == ["3", "12"]


def test_what_is_printed_can_be_logged(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    model = made()
    stop = callbacks.EarlyStopping("loss", patience=0, verbose=1, min_delta=1e9)
    with caplog.at_level(logging.INFO, "fastnn"):
        config.disable_interactive_logging()
        model.fit(X, Y, epochs=3, callbacks=[stop])
        model.summary()
        config.enable_interactive_logging()
        said = [record.getMessage() for record in caplog.records]
        assert capsys.readouterr().out == ""
        model.fit(X, Y, epochs=2)
    assert said[0] == "Epoch 1/3" and said[1].startswith("2/2 - ")
    assert "Epoch 2: early stopping" in said
    assert any("Trainable params: 4" in line for line in said)
    assert "Epoch 1/2" in capsys.readouterr().out
    assert len(caplog.records) == len(said)


class Breaking(layers.Layer):
    """A user's layer with a mistake."""

    def call(self, x: object) -> object:
        raise KeyError("mine")


def frames(model: Sequential) -> list[str]:
    try:
        model.fit(X, Y, verbose=0)
    except (KeyError, ValueError) as error:
        return [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    return []


def test_tracebacks_show_the_users_frames() -> None:
    model = Sequential([Breaking()])
    model.compile("sgd", "mse")
    short = frames(model)
    assert short[0] == "frames" and short[-1] == "call" and len(short) <= 4
    config.disable_traceback_filtering()
    assert len(frames(model)) > len(short) + 3
    config.enable_traceback_filtering()
    model = made()
    with pytest.raises(ValueError, match="samples") as caught:
        model.fit(X, Y[:3], verbose=0)
    assert len(traceback.extract_tb(caught.value.__traceback__)) <= 3
    assert caught.value.__cause__ is None
