# SPDX-License-Identifier: Apache-2.0
"""A convolutional network trained by ops, a tape and an optimizer, in a plan.

Layers are another matter: this is whether convolution, pooling, normalization and their
gradients work together in one native plan. The losses are torch's, recorded by
tools/record_torch_losses.py from the same weights, batches and formulas.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Variable, ops
from fastnn.optimizers import SGD

GOLDEN = Path(__file__).parent / "golden" / "convnet_losses.json"
STEPS, BATCH = 10, 16


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    y = rng.integers(0, 10, STEPS * BATCH)
    x = rng.normal(size=(STEPS * BATCH, 14, 14, 3)) * 0.5
    x[np.arange(len(y)), y % 14, y] += 2.0  # something to learn
    return x.astype("f"), y


def initial_weights() -> dict[str, np.ndarray]:
    """Kernels as Keras stores them: (height, width, in, out)."""
    rng = np.random.default_rng(8)

    def normal(*shape: int, scale: float) -> np.ndarray:
        return (rng.normal(size=shape) * scale).astype("f")

    return {
        "conv1": normal(3, 3, 3, 8, scale=0.2),
        "bias1": normal(8, scale=0.1),
        "conv2": normal(3, 3, 8, 16, scale=0.1),
        "gamma": 1 + normal(16, scale=0.1),
        "beta": normal(16, scale=0.1),
        "depth": normal(3, 3, 16, 1, scale=0.3),
        "dense": normal(48, 10, scale=0.1),
        "bias": np.zeros(10, "f"),
    }


def logits(w: dict[str, Any], x: Any) -> Any:
    h = ops.relu(ops.conv(x, w["conv1"], 1, "same") + w["bias1"])
    h = ops.max_pool(h, 2, 2, "same")
    h = ops.conv(h, w["conv2"], 2, "same")
    mean, variance = ops.moments(h, (0, 1, 2))
    h = ops.batch_normalization(h, mean, variance, -1, w["beta"], w["gamma"], 1e-3)
    h = ops.relu(h)
    h = ops.depthwise_conv(h, w["depth"], 1, "same")
    h = ops.average_pool(h, (2, 2), (2, 4), "same")
    h = ops.reshape(h, (-1, 32))
    h = ops.concatenate([h, ops.mean(h, -1, keepdims=True) + 0 * h[:, :16]], -1)
    return ops.matmul(h, w["dense"]) + w["bias"]


def train(compiled: bool) -> tuple[list[float], list[np.ndarray]]:
    variables = {k: Variable(v, name=k) for k, v in initial_weights().items()}
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.build(list(variables.values()))

    def step(x: Any, y: Any) -> Any:
        with GradientTape() as tape:
            z = logits(variables, x)
            loss = ops.mean(
                fastnn.losses.sparse_categorical_crossentropy(y, z, from_logits=True)
            )
        gradients = tape.gradient(loss, list(variables.values()))
        optimizer.apply(gradients)
        return loss

    run = fastnn.function(step) if compiled else step
    x, y = data()
    losses = [
        float(run(x[i : i + BATCH], y[i : i + BATCH])) for i in range(0, len(x), BATCH)
    ]
    return losses, [v.numpy() for v in variables.values()]


@pytest.fixture(scope="module")
def planned() -> tuple[list[float], list[np.ndarray]]:
    return train(compiled=True)


def test_losses_are_torch_s(planned: Any) -> None:
    expected = json.loads(GOLDEN.read_text())
    np.testing.assert_allclose(planned[0], expected, rtol=2e-5)


def test_plan_is_eager(planned: Any) -> None:
    losses, weights = train(compiled=False)
    np.testing.assert_allclose(planned[0], losses, rtol=1e-6)
    for a, b in zip(planned[1], weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
