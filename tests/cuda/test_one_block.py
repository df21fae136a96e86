# SPDX-License-Identifier: Apache-2.0
"""Plans as one kernel whose memory is one multiprocessor's: the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_emulated import EmulatedDevice

import fastnn as keras
from fastnn.backends.cuda import one_block
from fastnn.backends.cuda.chains import Link, chain_launch
from fastnn.backends.cuda.launches import dense
from fastnn.graph.device_plan import DevicePlan
from fastnn.models import steps as model_steps
from fastnn.opset import get_op

layers = keras.layers


def reg32() -> keras.Model:
    return keras.Sequential(
        [keras.Input((8,)), layers.Dense(30, "relu"), layers.Dense(1)]
    )


def deep() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8,)),
            layers.Dense(12, "tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.25, seed=3),
            layers.Dense(7, "sigmoid"),
            layers.Dense(3, "softmax"),
        ]
    )


CASES = {
    "reg32, SGD": (reg32, "sgd", "mse"),
    "reg32, Adam": (reg32, "adam", "mse"),
    "reg32, momentum": (reg32, keras.optimizers.SGD(0.1, 0.9, nesterov=True), "mae"),
    "softmax, RMSprop": (deep, "rmsprop", "categorical_crossentropy"),
    "labels, AdamW": (deep, "adamw", "sparse_categorical_crossentropy"),
}


def train(name: str) -> tuple[list[float], list[np.ndarray]]:
    """16 steps: losses of the epochs, and weights."""
    make, optimizer, loss = CASES[name]
    if not isinstance(optimizer, str):
        optimizer = type(optimizer).from_config(optimizer.get_config())
    keras.utils.set_random_seed(7)
    model = make()
    model.compile(optimizer, loss)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8)).astype("float32")
    y: Any = x[:, :1] * x[:, 1:2]
    if make is deep:
        labels = (x[:, 0] > 0).astype("int32") + (x[:, 1] > 1)
        y = labels if loss.startswith("sparse") else np.eye(3, dtype="float32")[labels]
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    return history["loss"], model.get_weights()


class Watched(EmulatedDevice):
    """Remembers what it was asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def run(self, task: Any) -> None:
        self.ran.append(getattr(task, "body", "product"))
        super().run(task)


def on_device(name: str, monkeypatch: Any) -> tuple[Any, Watched]:
    device = Watched()
    monkeypatch.setattr(
        model_steps, "make_plan", lambda graph, *, planned: DevicePlan(graph, device)
    )
    return train(name), device


@pytest.mark.parametrize("name", CASES)
def test_training_in_one_kernel_is_training_on_the_cpu(name, monkeypatch) -> None:
    losses, weights = train(name)
    found, device = on_device(name, monkeypatch)
    assert {body.split("<")[0] for body in device.ran} == {"one_block"}
    np.testing.assert_allclose(found[0], losses, rtol=2e-5)
    for a, b in zip(found[1], weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_steps_that_follow_one_another_are_few_launches(steps, monkeypatch) -> None:
    monkeypatch.setattr(one_block, "STEPS", 3)
    device = Watched()
    memory = [device.allocate(256) for _ in range(2)]
    start = np.arange(64, dtype="float32")
    for block in memory:
        device.upload(block, 0, start)
    y, x = (dense(block.address, "float32", (64,)) for block in memory)
    add = chain_launch((y, x), [Link(get_op("add"), (), (0, 1), "float32")], [(0, y)])
    run = one_block.program(device, [add, add], memory)
    assert run is not None
    run(steps)
    assert len(device.ran) == steps // 3 + steps % 3
    found = np.empty_like(start)
    device.download(memory[0], 0, found)
    np.testing.assert_array_equal(found, start * (1 + 2 * steps))
    device.download(memory[1], 0, found)
    np.testing.assert_array_equal(found, start)


def test_one_kernel_gives_the_bits_of_its_launches(monkeypatch) -> None:
    """Also with matrix products, once they are computed by the same function."""
    plans: list[DevicePlan] = []
    monkeypatch.setattr(
        model_steps,
        "make_plan",
        lambda graph, *, planned: (
            plans.append(DevicePlan(graph, EmulatedDevice())) or plans[-1]
        ),
    )
    one = train("softmax, RMSprop")
    monkeypatch.setattr(one_block, "program", launch_by_launch)
    many = train("softmax, RMSprop")
    assert one[0] == many[0]
    for a, b in zip(one[1], many[1], strict=True):
        np.testing.assert_array_equal(a, b)


def launch_by_launch(device: Any, tasks: Any, blocks: Any) -> Any:
    del blocks
    return device.program([one_block._as_launch(task) for task in tasks])


@pytest.mark.parametrize(
    "limit", ["MOST_BYTES", "MOST_BLOCKS", "MOST_PRODUCTS", "MOST_TASKS"]
)
def test_what_is_too_large_for_one_block_is_launched(limit, monkeypatch) -> None:
    monkeypatch.setattr(one_block, limit, 0)
    _, device = on_device("reg32, SGD", monkeypatch)
    assert device.ran
    assert not any(body.startswith("one_block") for body in device.ran)


def test_a_block_asks_for_no_more_shared_memory_than_the_device_has() -> None:
    """Beside what its functions declare; to the byte."""
    device = Watched()
    memory = [device.allocate(256) for _ in range(2)]
    y, x = (dense(block.address, "float32", (64,)) for block in memory)
    add = chain_launch((y, x), [Link(get_op("add"), (), (0, 1), "float32")], [(0, y)])
    needed = one_block._Table([add], memory).shared + one_block.DECLARED_BYTES
    for bytes_of_block, fits in ((needed, True), (needed - 1, False)):
        device.shared_bytes = bytes_of_block
        assert (one_block.program(device, [add], memory) is not None) == fits
