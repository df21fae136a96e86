# SPDX-License-Identifier: Apache-2.0
"""Data that do not fit a device are sent as it computes, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice

import fastnn
from fastnn.backends.cuda import device as devices
from fastnn.graph import feed
from fastnn.graph.device_plan import DevicePlan
from fastnn.models import steps as model_steps

COUNT, BATCH = 103, 8
RNG = np.random.default_rng(0)
X = RNG.integers(0, 255, (COUNT, 6, 4)).astype("uint8")
Y = RNG.integers(0, 3, (COUNT, 1))
WEIGHTS = RNG.uniform(0.5, 1, COUNT).astype("float32")
ROW = X[0].nbytes + Y[0].nbytes + 4


def model():
    fastnn.utils.set_random_seed(5)
    made = fastnn.Sequential(
        [
            fastnn.Input((6, 4)),
            fastnn.layers.Rescaling(1 / 255),
            fastnn.layers.Flatten(),
            fastnn.layers.Dense(3),
        ]
    )
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile("adam", loss, metrics=["accuracy"])
    return made


def fitted(x=X, epochs=3, **options):
    trained = model()
    history = trained.fit(
        x, Y, BATCH, epochs, sample_weight=WEIGHTS, verbose=0, **options
    )
    return history.history, trained.get_weights()


def same(found, expected):
    for name, values in expected[0].items():
        np.testing.assert_array_equal(found[0][name], values)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def small(monkeypatch):
    """Halves of three batches, for what a device has no room for."""
    monkeypatch.setattr(feed, "HALF_BYTES", 3 * BATCH * ROW)


@pytest.fixture
def device(monkeypatch):
    made = EmulatedDevice()
    made.plans = []

    def plan(graph, *, planned):
        made.plans.append(DevicePlan(graph, made))
        return made.plans[-1]

    monkeypatch.setattr(model_steps, "make_plan", plan)
    return made


OPTIONS = {
    "shuffled": {},
    "in order": {"shuffle": False},
    "part of it, from an epoch on": {"initial_epoch": 1},
    "with a validation": {"validation_split": 0.2},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bits_are_those_of_data_that_fit(name, device, small) -> None:
    expected = fitted(**OPTIONS[name])
    assert device.sent == []
    device.room = X.nbytes
    same(fitted(**OPTIONS[name]), expected)
    assert max(device.sent) <= 3 * BATCH * X[0].nbytes
    whole = next(p for p in device.plans[::-1] if p._feed is not None)
    held = [m.nbytes for (home, _), m in whole._places.items() if home == "input"]
    assert sum(held) <= 2 * 3 * BATCH * ROW + 8 * COUNT + 64


def test_each_row_is_sent_once_per_epoch(device, small) -> None:
    device.room = 0
    fitted(epochs=2)
    assert sum(device.sent) == 2 * COUNT * ROW


def test_windows_of_data_that_are_not_dense(device, small, monkeypatch) -> None:
    from fastnn.data import windows

    monkeypatch.setattr(windows, "DENSE_BYTES", 0)
    wide = np.zeros((COUNT, 6, 9), "uint8")
    wide[:, :, :4] = X
    expected = fitted()
    device.room = 0
    same(fitted(wide[:, :, :4]), expected)
    assert device.sent


def test_what_the_host_writes_between_passes_is_trained_on(device, small) -> None:
    def twice():
        x, trained = X.copy(), model()
        trained.fit(x, Y, BATCH, verbose=0)
        x[...] = 255 - x
        trained.fit(x, Y, BATCH, verbose=0)
        return {}, trained.get_weights()

    expected = twice()
    device.room = 0
    same(twice(), expected)


def test_a_graph_that_reads_its_data_otherwise_has_them_as_a_whole(device) -> None:
    device.room = 0
    trained = model()
    trained.predict(X, batch_size=BATCH, verbose=0)
    trained.train_on_batch(X[:8], Y[:8])
    assert all(plan._feed is None for plan in device.plans)


@pytest.mark.parametrize("hasty", [False, True])
def test_copies_run_beside_the_steps_and_neither_overtakes_the_other(
    hasty, machine, small, monkeypatch
) -> None:
    """Copies run as late as they may, or as early: one out of page-locked memory that
    was filled anew, or into a half that is still read, would be seen.
    """
    machine.hasty = hasty
    expected = fitted()
    monkeypatch.setattr(feed, "RESIDENT_SHARE", 0)
    monkeypatch.setattr(model_steps, "CALL_SECONDS", 10.0)
    waited = []
    step = feed.Feed._send

    def send(self, at, stop):
        waiting = devices.device()._stream.queue
        waited.append(len(waiting))
        return step(self, at, stop)

    monkeypatch.setattr(feed.Feed, "_send", send)
    machine.log.clear()
    same(fitted(), expected)
    assert len(machine.pinned) == 2 * 3, "columns of two plans: the last batch is small"
    streams = {line.split(":")[0] for line in machine.log if line.endswith(" up")}
    assert len(streams) == 2, "the copies have a stream of their own"
    assert max(waited) > 0, "rows were gathered while steps waited to run"
