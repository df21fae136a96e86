# SPDX-License-Identifier: Apache-2.0
"""The progress bar: a live line in a terminal, one plain line elsewhere."""

from __future__ import annotations

import io
import re
import sys

import pytest

from fastnn.callbacks import CallbackList, ProgbarLogger
from fastnn.utils import Progbar, progbar


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Ascii(io.StringIO):
    encoding = "ascii"

    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progbar.time, "perf_counter", lambda: Clock.now)
    return Clock


def plain(text):
    return re.sub(r"\033\[\d+m", "", text)


def last_line(text):
    return plain(text).rstrip("\n").rsplit("\r", 1)[-1].rstrip()


def test_finished_bar_looks_like_keras(clock):
    out = Terminal()
    bar = Progbar(469, stream=out)
    clock.now += 1.0
    bar.update(469, {"accuracy": 0.9012, "loss": 0.3})
    assert last_line(out.getvalue()) == (
        "469/469 ━━━━━━━━━━━━━━━━━━━━ 1s 2ms/step - accuracy: 0.9012 - loss: 0.3000"
    )
    assert out.getvalue().endswith("\n")


def test_colours_are_those_of_keras(clock):
    out = Terminal()
    bar = Progbar(4, stream=out)
    clock.now += 2.0
    bar.update(1, [("loss", 0.5)])
    assert out.getvalue() == (
        "\r\033[1m1/4\033[0m \033[32m━━━━━\033[0m\033[37m━━━━━━━━━━━━━━━\033[0m "
        "\033[1m6s\033[0m 2s/step - loss: 0.5000"
    )


def test_redraws_are_throttled(clock):
    out = Terminal()
    bar = Progbar(1000, stream=out, interval=0.1)
    for done in range(1, 1001):
        clock.now += 0.001
        bar.update(done, {"loss": 1.0})
    redraws = out.getvalue().count("\r")
    assert 9 <= redraws <= 12
    assert out.getvalue().count("\n") == 1


def test_a_shorter_line_erases_the_longer_one_before_it(clock):
    out = Terminal()
    bar = Progbar(2, stream=out, stateful_metrics=["name"])
    bar.update(1, {"name": "a long text"})
    before = len(plain(out.getvalue()).strip("\r"))
    clock.now += 1
    bar.update(2, {"name": "short"})
    assert len(plain(out.getvalue()).rsplit("\r", 1)[-1].rstrip("\n")) >= before


def test_no_terminal_gets_one_line_and_no_control_characters(clock):
    out = io.StringIO()
    bar = Progbar(3, stream=out)
    for done in (1, 2, 3):
        clock.now += 0.004
        bar.update(done, {"loss": 0.25})
    assert out.getvalue() == "3/3 - 0s - 4ms/step - loss: 0.2500\n"


def test_verbose_2_is_one_line_in_a_terminal_too(clock):
    out = Terminal()
    bar = Progbar(2, verbose=2, stream=out)
    clock.now += 3
    bar.update(1)
    bar.update(2)
    assert out.getvalue() == "2/2 - 3s - 2s/step\n"


def test_verbose_0_is_silent(clock):
    out = Terminal()
    Progbar(1, verbose=0, stream=out).update(1)
    assert out.getvalue() == ""


def test_unknown_target(clock):
    out = Terminal()
    bar = Progbar(None, stream=out)
    clock.now += 1
    bar.update(3)
    assert "3/Unknown 1s 333ms/step" in plain(out.getvalue())
    bar.update(5, finalize=True)
    assert last_line(out.getvalue()).startswith("5/5 ━")


def test_values_are_averaged_over_steps_unless_stateful(clock):
    out = io.StringIO()
    bar = Progbar(4, stream=out, stateful_metrics=["accuracy"])
    bar.update(1, [("loss", 1.0), ("accuracy", 0.1)])
    bar.update(4, [("loss", 2.0), ("accuracy", 0.7)])
    assert "loss: 1.7500" in out.getvalue() and "accuracy: 0.7000" in out.getvalue()


def test_add_counts_on(clock):
    out = io.StringIO()
    bar = Progbar(3, stream=out)
    bar.add(1)
    bar.add(2)
    assert out.getvalue().startswith("3/3 - ")


def test_small_values_get_an_exponent():
    assert progbar.format_values({"a": 1e-5, "b": 0.0, "c": -0.5, "d": 1e9}) == (
        " - a: 1.0000e-05 - b: 0.0000e+00 - c: -0.5000 - d: 1000000000.0000"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.4, "2s/step"), (0.0021, "2ms/step"), (4.9e-5, "49us/step"), (0, "0s/step")],
)
def test_time_per_step(seconds, text):
    assert progbar.format_time_per_step(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5s"), (65, "1:05"), (3723, "1:02:03")]
)
def test_remaining_time(seconds, text):
    assert progbar.format_remaining(seconds) == text


def test_streams_without_the_bar_character_get_equal_signs(clock):
    out = Ascii()
    Progbar(1, stream=out).update(1)
    assert "====" in out.getvalue() and out.getvalue().isascii()


def test_no_standard_output_at_all(monkeypatch, clock):
    monkeypatch.setattr(sys, "stdout", None)
    Progbar(1).update(1)
    run_epochs(verbose=1)


def run_epochs(verbose, epochs=2):
    callbacks = CallbackList(
        add_progbar=True, model=object(), verbose=verbose, epochs=epochs, steps=3
    )
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_progress("train", 2, {"loss": 0.5})
        callbacks.on_test_begin()
        callbacks.on_progress("test", 0, {"loss": 0.7})
        callbacks.on_test_end({"loss": 0.7})
        callbacks.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.7})
    callbacks.on_train_end()


@pytest.mark.feature("4J-105")
@pytest.mark.parametrize("verbose", [1, 2])
def test_logger_writes_a_title_and_a_line_per_epoch_to_a_file(
    monkeypatch, verbose, clock
):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    run_epochs(verbose)
    assert out.getvalue().splitlines() == [
        "Epoch 1/2",
        "3/3 - 0s - 0s/step - loss: 0.5000 - val_loss: 0.7000",
        "Epoch 2/2",
        "3/3 - 0s - 0s/step - loss: 0.5000 - val_loss: 0.7000",
    ]


@pytest.mark.feature("4J-106")
def test_logger_in_a_terminal(monkeypatch, clock):
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    run_epochs(1, epochs=1)
    run_epochs(1)
    lines = plain(out.getvalue()).split("\n")
    for bar in (lines[0], lines[2], lines[4]):
        assert last_line(bar).endswith("0s 0s/step - loss: 0.5000 - val_loss: 0.7000")
    assert lines[1::2] == ["Epoch 1/2", "Epoch 2/2", ""] and len(lines) == 6


@pytest.mark.feature("4J-107")
def test_logger_of_evaluate(monkeypatch, clock):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    callbacks = CallbackList([ProgbarLogger()], model=object(), verbose=1, steps=2)
    callbacks.on_test_begin()
    callbacks.on_progress("test", 1, {"loss": 2.0})
    callbacks.on_test_end({"loss": 2.0})
    assert out.getvalue() == "2/2 - 0s - 0s/step - loss: 2.0000\n"


def test_stateless_metrics_are_the_averaged_ones(clock):
    out = io.StringIO()
    bar = Progbar(2, stream=out, stateless_metrics=["loss"])
    bar.update(1, {"loss": 1.0, "size": 1.0})
    bar.update(2, {"loss": 2.0, "size": 5.0})
    assert "loss: 1.5000 - size: 5.0000" in out.getvalue()
    with pytest.raises(ValueError, match="not both"):
        Progbar(2, stateful_metrics=["a"], stateless_metrics=["b"])
