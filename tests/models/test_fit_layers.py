# SPDX-License-Identifier: Apache-2.0
"""Stacks of layers trained by fit: the plan equals eager training, and is fused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastnn import config, layers
from fastnn.models import Sequential
from fastnn.optimizers import SGD

RNG = np.random.default_rng(5)
IMAGES = RNG.normal(size=(26, 8, 8, 2)).astype("f")
ROWS = RNG.normal(size=(26, 12)).astype("f")
LABELS = RNG.integers(0, 3, 26)


def convnet() -> Sequential:
    return Sequential(
        [
            layers.Input((8, 8, 2)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, padding="same", activation="relu"),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="relu"),
            layers.Dropout(0.3, seed=1),
            layers.Dense(3, activation="softmax"),
        ]
    )


def normalized_convnet() -> Sequential:
    return Sequential(
        [
            layers.Input((8, 8, 2)),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def deep() -> Sequential:
    model = Sequential([layers.Input((12,))])
    for _ in range(4):
        model.add(layers.Dense(9))
        model.add(layers.BatchNormalization())
        model.add(layers.ELU())
    model.add(layers.Dense(3, activation="softmax"))
    return model


MODELS: dict[Callable[[], Sequential], np.ndarray] = {
    convnet: IMAGES,
    normalized_convnet: IMAGES,
    deep: ROWS,
}


def trained(make: Callable[[], Sequential], eager: bool) -> tuple[Sequential, Any]:
    model = make()
    rng = np.random.default_rng(9)
    for v in model.weights:
        noise = rng.normal(size=v.shape) * 0.2 if v.trainable else np.zeros(v.shape)
        ones = v.name in ("gamma", "moving_variance")
        v.assign((noise + ones).astype("f"))
    loss = "sparse_categorical_crossentropy"
    model.compile(SGD(0.1, momentum=0.9), loss, metrics=["accuracy"], run_eagerly=eager)
    x = MODELS[make]
    history = model.fit(
        x, LABELS, 8, epochs=3, shuffle=False, verbose=0, validation_data=(x, LABELS)
    )
    return model, history.history


@pytest.mark.parametrize("make", MODELS, ids=lambda m: m.__name__)
def test_plan_equals_eager(make: Callable[[], Sequential]) -> None:
    (planned, a), (eager, b) = trained(make, False), trained(make, True)
    for v, w in zip(planned.weights, eager.weights, strict=True):
        np.testing.assert_allclose(v.numpy(), w.numpy(), 2e-5, 2e-6, err_msg=v.path)
    for key in b:
        np.testing.assert_allclose(a[key], b[key], 1e-5, err_msg=key)
    x = MODELS[make]
    np.testing.assert_allclose(
        planned.predict(x, verbose=0), eager.predict(x, verbose=0), 1e-5, 1e-6
    )


@pytest.mark.parametrize("make", MODELS, ids=lambda m: m.__name__)
def test_bits_do_not_depend_on_threads(make: Callable[[], Sequential]) -> None:
    threads = config.get_num_threads()
    try:
        weights = []
        for count in (1, 3):
            config.set_num_threads(count)
            weights.append(trained(make, False)[0].get_weights())
    finally:
        config.set_num_threads(threads)
    for one, three in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, three)


def ops_of(make: Callable[[], Sequential], kind: str = "train") -> Counter[str]:
    """How often a plan runs each op."""
    return ops_of_plan(trained(make, False)[0], kind)


def ops_of_plan(model: Sequential, kind: str = "train") -> Counter[str]:
    plan = model._get_runner().plan(kind)
    return Counter(node.op.name for node in plan.graph.nodes)


def test_bias_and_activation_are_part_of_convolutions() -> None:
    plan = trained(convnet, False)[0]._get_runner().plan()
    names = Counter(node.op.name for node in plan.graph.nodes)
    assert names["conv"] == 2
    assert names["linear"] == 2
    assert names["relu"] == 0
    sums = [node for node in plan.graph.nodes if node.op.name == "add"]
    assert all(node.outputs[0].size <= 2 for node in sums)  # counters


def test_batch_normalization_is_two_ops_and_two_averages() -> None:
    found = ops_of(deep)
    assert found["batch_norm"] == found["batch_norm_grad"] == 4
    assert found["moving_average"] == 8
    assert found["moments"] == found["rsqrt"] == found["square"] == 0
    assert ops_of(deep, "test")["batch_norm_apply"] == 4


class TestFrozenBatchNormalization:
    def test_uses_and_keeps_its_statistics(self) -> None:
        model = deep()
        for layer in model.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False
        model.compile(SGD(0.1), "sparse_categorical_crossentropy")
        before = [layer.get_weights() for layer in model.layers]
        model.fit(ROWS, LABELS, 8, verbose=0)
        for layer, old in zip(model.layers, before, strict=True):
            same = all(map(np.array_equal, layer.get_weights(), old))
            assert same == (not layer.trainable_weights)
        assert ops_of_plan(model)["batch_norm"] == 0

    def test_thawing_takes_effect_at_the_next_compile(self) -> None:
        model = deep()
        layer = model.layers[1]
        layer.trainable = False
        model.compile(SGD(0.1), "sparse_categorical_crossentropy")
        model.fit(ROWS, LABELS, 8, verbose=0)
        assert not layer.moving_mean.numpy().any()
        layer.trainable = True
        model.compile(SGD(0.1), "sparse_categorical_crossentropy")
        model.fit(ROWS, LABELS, 8, verbose=0)
        assert layer.moving_mean.numpy().all()
