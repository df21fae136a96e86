# SPDX-License-Identifier: Apache-2.0
"""The float64 oracle: gradients by differences, losses against torch and fastnn."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks.layers import Conv, Dense, Layer
from benchmarks.machine import one_blas_thread
from benchmarks.peers.numpy_ import NumpyPeer, Update
from benchmarks.workloads import (
    ADAM,
    RMSPROP,
    SGD,
    WORKLOADS,
    Workload,
    initial_weights,
    load,
)


def _small(layer: Layer) -> Layer:
    if isinstance(layer, Conv):
        return replace(layer, filters=min(layer.filters, 4))
    if isinstance(layer, Dense):
        return replace(layer, units=min(layer.units, 12))
    return layer


def small(name: str, steps: int) -> Workload:
    """The workload with few units and filters, a batch of 8 and no masks."""
    row = WORKLOADS[name].without_dropout()
    layers = tuple(_small(layer) for layer in row.layers)
    return replace(row, layers=layers, batch=8, samples=8 * steps)


def trained(peer, row: Workload, weights, steps: int) -> list[float]:
    x, y, _ = load(row)
    peer.setup(row, weights, x, y)
    with one_blas_thread():
        return peer.step_losses(steps)


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_oracle_learns_and_its_gradient_is_right(name):
    """Central difference along a random direction, through one plain SGD step."""
    row = replace(small(name, 1), optimizer=SGD)
    rng = np.random.default_rng(4)
    # Not a bias of zero: where an image is black, relu would stand on its kink.
    weights = [w + 0.02 * rng.random(w.shape) for w in initial_weights(row)]
    peer = NumpyPeer(np.float64)
    trained(peer, row, weights, 0)
    state = [m for node in peer.nodes for m in getattr(node, "moving", [])]
    moving = {id(m) for m in state}
    free = [i for i, p in enumerate(peer.params) if id(p) not in moving]
    before = [p.copy() for p in peer.params]
    peer.step_losses(1)
    rate = row.optimizer.learning_rate
    gradient = [(before[i] - peer.params[i]) / rate for i in free]
    way = [rng.normal(size=g.shape) for g in gradient]
    slope = sum(float(np.sum(g * d)) for g, d in zip(gradient, way, strict=True))
    losses = []
    for sign in (1, -1):
        moved = [w.copy() for w in weights]
        for i, direction in zip(free, way, strict=True):
            moved[i] += sign * 1e-6 * direction
        losses += trained(NumpyPeer(np.float64), row, moved, 1)
    assert abs(slope) > 1e-3
    assert (losses[0] - losses[1]) / 2e-6 == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("last", [False, True], ids=["NCHW", "channels_last"])
@pytest.mark.parametrize("name", list(WORKLOADS))
def test_oracle_agrees_with_torch_in_float64(name, last):
    torch = pytest.importorskip("torch")
    from benchmarks.peers.torch_ import TorchPeer

    torch.set_num_threads(1)  # two that wait for each other take minutes under load
    row = small(name, 4)
    if last and not row.has(Conv):
        pytest.skip("no image")
    weights = initial_weights(row)
    expected = trained(NumpyPeer(np.float64), row, weights, 4)
    got = trained(TorchPeer(False, last, torch.float64), row, weights, 4)
    # Keras's constants reach torch as Python floats: nothing is lost but rounding.
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_fastnn_agrees_with_the_oracle(name):
    from benchmarks.peers.fastnn_ import FastnnPeer

    row = small(name, 4)
    if name == "deep32":  # narrow and 20 deep, it doubles rounding with every layer
        row = replace(WORKLOADS[name], samples=4 * 32)
    weights = initial_weights(row)
    expected = trained(NumpyPeer(np.float64), row, weights, 4)
    got = trained(FastnnPeer(), row, weights, 4)
    np.testing.assert_allclose(got, expected, rtol=row.steps_rtol)


def test_oracle_places_epsilon_where_keras_does():
    """First step from zero slots. RMSprop: w -= lr g / sqrt((1 - rho) g^2 + eps).
    Adam: w -= lr g / (|g| + eps / sqrt(1 - beta_2))."""
    g = np.array([1e-4, -1e-5, 0.0])
    w = [np.zeros(3)]
    Update(RMSPROP, w)([g])
    np.testing.assert_allclose(
        w[0], -0.001 * g / np.sqrt(0.1 * g * g + 1e-7), rtol=1e-12
    )
    w = [np.zeros(3)]
    Update(ADAM, w)([g])
    epsilon = 1e-7 / np.sqrt(1 - 0.999)
    np.testing.assert_allclose(w[0], -0.001 * g / (np.abs(g) + epsilon), rtol=1e-9)
