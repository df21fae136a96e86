# SPDX-License-Identifier: Apache-2.0
"""Layers forward and backward in plain NumPy, each in the shortest form that is right.

In float64 they are the oracle of every workload, so they share no code with any peer:
tests/benchmarks check their gradients by differences and their values against torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import layers


class Node:
    """`forward` keeps what `backward` reads; `backward` fills `grads`, one for each of
    `trained`, and returns the gradient of the input."""

    def __init__(self, layer: Any, weights: list[np.ndarray]) -> None:
        self.layer, self.trained = layer, weights
        self.grads: list[np.ndarray] = []

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy


class Dense(Node):
    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.x = x
        kernel, bias = self.trained
        self.y = activate(self.layer.activation, x @ kernel + bias)
        return self.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        dz = dy * slope(self.layer.activation, self.y)
        self.grads = [self.x.T @ dz, dz.sum(axis=0)]
        return dz @ self.trained[0].T


class Conv(Node):
    """A product of patches: row (n, i, j) holds the window around pixel (i, j)."""

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        kernel, bias = self.trained
        self.patches = _patches(x, self.layer.size)
        z = self.patches @ kernel.reshape(-1, kernel.shape[3]) + bias
        self.y = activate(self.layer.activation, z).reshape(*x.shape[:3], -1)
        return self.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        kernel = self.trained[0]
        dz = dy * slope(self.layer.activation, self.y)
        rows = dz.reshape(-1, kernel.shape[3])
        dw = (self.patches.T @ rows).reshape(kernel.shape)
        self.grads = [dw, rows.sum(axis=0)]
        # Every pixel of x meets dz through the kernel turned by half a turn.
        turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2).reshape(-1, kernel.shape[2])
        return (_patches(dz, self.layer.size) @ turned).reshape(*dz.shape[:3], -1)


def _patches(x: np.ndarray, size: int) -> np.ndarray:
    edge = (size // 2, size // 2)
    padded = np.pad(x, ((0, 0), edge, edge, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), (1, 2))
    width = size * size * x.shape[3]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, width)


class Pool(Node):
    """The gradient goes to the first of equal maxima, as in torch and TensorFlow."""

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.x_shape, k = x.shape, self.layer.size
        height, width, channels = self.layer.output(x.shape[1:])
        cut = x[:, : height * k, : width * k]
        blocks = cut.reshape(-1, height, k, width, k, channels)
        squares = blocks.transpose(0, 1, 3, 5, 2, 4)
        squares = squares.reshape(-1, height, width, channels, k * k)
        self.first = squares.argmax(axis=-1)[..., None]
        return np.take_along_axis(squares, self.first, -1)[..., 0]

    def backward(self, dy: np.ndarray) -> np.ndarray:
        n, height, width, channels = dy.shape
        k = self.layer.size
        squares = np.zeros((*dy.shape, k * k), dy.dtype)
        np.put_along_axis(squares, self.first, dy[..., None], -1)
        blocks = squares.reshape(n, height, width, channels, k, k)
        dx = np.zeros(self.x_shape, dy.dtype)
        dx[:, : height * k, : width * k] = blocks.transpose(0, 1, 4, 2, 5, 3).reshape(
            n, height * k, width * k, channels
        )
        return dx


class BatchNorm(Node):
    def __init__(self, layer: Any, weights: list[np.ndarray]) -> None:
        super().__init__(layer, weights[:2])
        self.moving = weights[2:]

    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        gamma, beta = self.trained
        axes = tuple(range(x.ndim - 1))
        mean, variance = self.moving
        if training:
            mean, variance = x.mean(axis=axes), x.var(axis=axes)
            for kept, new in zip(self.moving, (mean, variance), strict=True):
                kept += (new - kept) * (1 - self.layer.momentum)
        self.inverse = 1 / np.sqrt(variance + self.layer.epsilon)
        self.normal = (x - mean) * self.inverse
        return gamma * self.normal + beta

    def backward(self, dy: np.ndarray) -> np.ndarray:
        axes = tuple(range(dy.ndim - 1))
        dbeta, dgamma = dy.sum(axis=axes), (dy * self.normal).sum(axis=axes)
        self.grads = [dgamma, dbeta]
        rows = dy.size // dy.shape[-1]
        centred = dy - (dbeta + self.normal * dgamma) / rows
        return self.trained[0] * self.inverse * centred


class Elu(Node):
    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.y = np.where(x > 0, x, np.expm1(np.minimum(x, 0)))
        return self.y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * np.where(self.y > 0, 1, self.y + 1)


class Flatten(Node):
    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy.reshape(self.shape)


class Dropout(Node):
    def forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        assert not (training and self.layer.rate), "the oracle draws no masks"
        return x


NODES: dict[type[layers.Layer], type[Node]] = {
    layers.Dense: Dense,
    layers.Conv: Conv,
    layers.Pool: Pool,
    layers.BatchNorm: BatchNorm,
    layers.Elu: Elu,
    layers.Flatten: Flatten,
    layers.Dropout: Dropout,
}


def activate(name: str, z: np.ndarray) -> np.ndarray:
    """Softmax stays undone: the loss is computed from the values before it."""
    if name == "relu":
        return np.maximum(z, 0)
    assert name in ("linear", "softmax"), name
    return z


def slope(name: str, y: np.ndarray) -> Any:
    return (y > 0) if name == "relu" else 1
