# SPDX-License-Identifier: Apache-2.0
"""What the host waits for: not for a learning rate or a step to reach the device."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn.backends.cuda import device as devices
from fastnn.errors import BackendError
from fastnn.models import quiet, steps

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 3, 3, 1)).astype("float32")
Y = RNG.normal(size=(16, 2)).astype("float32")
RATES = [0.1 / (1 + epoch) for epoch in range(4)]


@pytest.fixture(autouse=True)
def no_clock(monkeypatch) -> None:
    """How many steps a call runs follows from their time: here, all there are."""
    for module in (steps, quiet):
        monkeypatch.setattr(module, "CALL_SECONDS", 1e6)


def compiled(rate):
    fastnn.utils.set_random_seed(7)
    units = fastnn.layers.Conv2D(2, 2), fastnn.layers.Flatten(), fastnn.layers.Dense(2)
    model = fastnn.Sequential([fastnn.Input(X.shape[1:]), *units])
    model.compile(fastnn.optimizers.SGD(rate), "mse", metrics=["mae"])
    return model


def fitted(model, epochs, **options):
    history = model.fit(X, Y, 8, epochs, verbose=0, shuffle=False, **options)
    return history.history["loss"]


def by_callback(model):
    """Each epoch with a learning rate of its own, which the host sets."""
    set_rate = fastnn.callbacks.LearningRateScheduler(lambda epoch, _: RATES[epoch])
    return fitted(model, len(RATES), callbacks=[set_rate])


def watched(model):
    """A callback that needs the host between epochs as the scheduler does."""
    seen = fastnn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: None)
    return fitted(model, len(RATES), callbacks=[seen])


def test_a_learning_rate_that_the_host_sets_costs_no_capture_and_no_wait(
    machine,
) -> None:
    model = compiled(0.1)
    watched(model)  # warm, captured
    counts = []
    for run in (watched, by_callback):
        before = machine.captures, machine.waits, len(machine.copies)
        run(model)
        after = machine.captures, machine.waits, len(machine.copies)
        counts.append(np.subtract(after, before))
    (_, waits, copies), (captures, more_waits, more_copies) = counts
    assert captures == 0
    assert more_waits == waits
    assert more_copies == copies + len(RATES), "one number for each epoch"


def test_rates_of_a_callback_are_those_that_are_trained_with(machine) -> None:
    found = by_callback(compiled(0.1))
    fastnn.config.set_backend("cpu")
    np.testing.assert_allclose(found, by_callback(compiled(0.1)), rtol=2e-5)


def test_a_schedule_is_computed_on_the_device(machine) -> None:
    """As many captures, waits and copies as with one rate, and the CPU's losses."""
    counts = []
    rates = 0.1, fastnn.optimizers.schedules.ExponentialDecay(0.1, 3, 0.7)
    for rate in rates:
        model = compiled(rate)
        fitted(model, 4)
        before = machine.captures, machine.waits, len(machine.copies)
        found = fitted(model, 8)
        after = machine.captures, machine.waits, len(machine.copies)
        counts.append(tuple(np.subtract(after, before)))
    assert counts[0] == counts[1]
    assert counts[1][0] == 0
    fastnn.config.set_backend("cpu")
    model = compiled(rates[1])
    fitted(model, 4)
    np.testing.assert_allclose(found, fitted(model, 8), rtol=2e-5)


def test_what_goes_along_with_the_work_may_change_at_once(machine) -> None:
    """The stand-in reads the source of a copy as late as a device may."""
    device = devices.device()
    memory = device.allocate(400)
    value = np.arange(100, dtype="float32")
    before = machine.waits
    device.upload(memory, 0, value)
    value[:] = -1
    assert machine.waits == before
    found = np.empty_like(value)
    device.download(memory, 0, found)
    np.testing.assert_array_equal(found, np.arange(100))
    assert not device._sent_along
    for _ in range(3 * devices.MOST_SENT):
        device.upload(memory, 0, value)
    assert len(device._sent_along) <= devices.MOST_SENT, "copies do not pile up"
    assert machine.waits < before + 6


def test_page_locked_memory_that_is_not_there_is_an_error_with_its_remedy(
    machine,
) -> None:
    machine.lockable = 1 << 20
    with pytest.raises(BackendError, match="page-locked memory wanted") as told:
        devices.device().pinned(2 << 20)
    for part in ("2097152 bytes", "out of memory", "memlock", "generator"):
        assert part in str(told.value)
    assert devices.device().pinned(1000).size == 1000
