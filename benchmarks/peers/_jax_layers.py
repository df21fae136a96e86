# SPDX-License-Identifier: Apache-2.0
"""The workloads' layers as JAX functions of (parameters, statistics, key)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks import layers
from benchmarks.workloads import Workload

Tree = Any
IMAGES = ("NHWC", "HWIO", "NHWC")


class State(NamedTuple):
    """What the layers own: one tuple of arrays per layer, each."""

    params: list[tuple[jax.Array, ...]]
    statistics: list[tuple[jax.Array, ...]]


def state_of(workload: Workload, weights: Sequence[np.ndarray]) -> State:
    """Copies: the steps donate their buffers, and jnp.asarray may alias NumPy's."""
    params, statistics = [], []
    for layer, _, own in workload.stack(weights):
        arrays = tuple(jnp.array(w, copy=True) for w in own)
        trained = 2 if isinstance(layer, layers.BatchNorm) else len(arrays)
        params.append(arrays[:trained])
        statistics.append(arrays[trained:])
    return State(params, statistics)


def forward(
    workload: Workload,
    state: State,
    x: jax.Array,
    key: jax.Array | None,
    windows: bool,
    training: bool,
) -> tuple[jax.Array, list[tuple[jax.Array, ...]]]:
    """Output before softmax, and the new statistics.

    Args:
        key: for the masks of Dropout, None where there is none to draw.
        windows: pool by `reduce_window`, else by a maximum over reshaped squares.
    """
    statistics = []
    for index, (layer, own) in enumerate(
        zip(workload.layers, state.params, strict=True)
    ):
        new = state.statistics[index]
        if isinstance(layer, layers.Dense):
            x = _activate(layer.activation, x @ own[0] + own[1])
        elif isinstance(layer, layers.Conv):
            x = lax.conv_general_dilated(
                x, own[0], (1, 1), "SAME", dimension_numbers=IMAGES
            )
            x = _activate(layer.activation, x + own[1])
        elif isinstance(layer, layers.BatchNorm):
            x, new = _normalize(layer, x, own, new, training)
        elif isinstance(layer, layers.Pool):
            x = _pool(x, layer.size, windows)
        elif isinstance(layer, layers.Elu):
            x = jax.nn.elu(x)
        elif isinstance(layer, layers.Flatten):
            x = x.reshape(len(x), -1)
        else:
            assert isinstance(layer, layers.Dropout), layer
            if training and layer.rate:
                x = _drop(layer.rate, x, jax.random.fold_in(key, index))
        statistics.append(new)
    return x, statistics


def _activate(name: str, x: jax.Array) -> jax.Array:
    return jax.nn.relu(x) if name == "relu" else x


def _normalize(
    layer: layers.BatchNorm, x: jax.Array, own: Tree, moving: Tree, training: bool
) -> tuple[jax.Array, Tree]:
    mean, variance = moving
    if training:
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        variance = jnp.square(x - mean).mean(axes)
        moving = tuple(
            old + (new - old) * (1 - layer.momentum)
            for old, new in zip(moving, (mean, variance), strict=True)
        )
    scale = own[0] * lax.rsqrt(variance + layer.epsilon)
    return (x - mean) * scale + own[1], moving


def _drop(rate: float, x: jax.Array, key: jax.Array) -> jax.Array:
    mask = jax.random.bernoulli(key, 1 - rate, x.shape)
    return jnp.where(mask, x / (1 - rate), 0)


def _pool(x: jax.Array, size: int, windows: bool) -> jax.Array:
    if windows:
        square = (1, size, size, 1)
        return lax.reduce_window(x, -jnp.inf, lax.max, square, square, "VALID")
    n, height, width, channels = x.shape
    height, width = height // size, width // size
    x = x[:, : height * size, : width * size]
    return x.reshape(n, height, size, width, size, channels).max((2, 4))
