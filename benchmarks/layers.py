# SPDX-License-Identifier: Apache-2.0
"""What the models of the workloads are made of: descriptions, no framework.

Each kind says what follows from it alone: the shape it makes, its initial weights in
Keras's order, its multiply-adds and its name in a title. Every peer turns the same
descriptions into its own layers, one branch per kind. Images are channels last.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

Shape = tuple[int, ...]


class Layer:
    """Keeps the shape, has no weights and multiplies nothing unless it says so."""

    n_weights = 0

    def output(self, shape: Shape) -> Shape:
        return shape

    def weights(self, shape: Shape, rng: np.random.Generator) -> list[np.ndarray]:
        """float32, as `keras_layer.get_weights()` orders them."""
        return []

    def products(self, shape: Shape) -> int:
        """Multiply-adds of one sample's forward pass."""
        return 0

    def title(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer; `activation` is a Keras name."""

    units: int
    activation: str = "linear"
    n_weights = 2

    def output(self, shape: Shape) -> Shape:
        return (self.units,)

    def weights(self, shape: Shape, rng: np.random.Generator) -> list[np.ndarray]:
        (width,) = shape
        return _kernel_and_bias(rng, (width, self.units), width, self.units)

    def products(self, shape: Shape) -> int:
        return shape[0] * self.units

    def title(self) -> str:
        return _titled(f"Dense {self.units}", self.activation)


@dataclass(frozen=True)
class Conv(Layer):
    """2-D convolution, "same" padding, stride 1, an odd square kernel `size`."""

    filters: int
    size: int
    activation: str = "linear"
    n_weights = 2

    def output(self, shape: Shape) -> Shape:
        return (*shape[:2], self.filters)

    def weights(self, shape: Shape, rng: np.random.Generator) -> list[np.ndarray]:
        area, channels = self.size * self.size, shape[2]
        kernel = (self.size, self.size, channels, self.filters)
        return _kernel_and_bias(rng, kernel, area * channels, area * self.filters)

    def products(self, shape: Shape) -> int:
        return prod(shape) * self.size * self.size * self.filters

    def title(self) -> str:
        return _titled(f"Conv {self.filters} {self.size}x{self.size}", self.activation)


@dataclass(frozen=True)
class Pool(Layer):
    """Maximum over squares of `size`, which do not overlap; a rest is left out."""

    size: int = 2

    def output(self, shape: Shape) -> Shape:
        height, width, channels = shape
        return (height // self.size, width // self.size, channels)

    def title(self) -> str:
        return f"pool {self.size}"


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Over all axes but the last, with Keras's constants. Four weights: gamma, beta,
    moving mean and moving variance."""

    momentum: float = 0.99
    epsilon: float = 1e-3
    n_weights = 4

    def weights(self, shape: Shape, rng: np.random.Generator) -> list[np.ndarray]:
        zeros, ones = (f(shape[-1], np.float32) for f in (np.zeros, np.ones))
        return [ones, zeros, zeros.copy(), ones.copy()]


@dataclass(frozen=True)
class Elu(Layer):
    """x where x > 0, else e^x - 1."""


@dataclass(frozen=True)
class Flatten(Layer):
    """Height, width, channels in this order to one axis."""

    def output(self, shape: Shape) -> Shape:
        return (prod(shape),)


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, zero with probability `rate`, else x / (1 - rate)."""

    rate: float

    def title(self) -> str:
        return f"Dropout {self.rate:g}"


def _kernel_and_bias(
    rng: np.random.Generator, shape: Shape, fan_in: int, fan_out: int
) -> list[np.ndarray]:
    """Glorot-uniform kernel and zero bias."""
    limit = np.sqrt(6.0 / (fan_in + fan_out))
    kernel = rng.uniform(-limit, limit, shape).astype(np.float32)
    return [kernel, np.zeros(shape[-1], np.float32)]


def _titled(name: str, activation: str) -> str:
    return name if activation == "linear" else f"{name} {activation}"


def folded(titles: list[str]) -> str:
    """Titles of a stack in one line: "2 x (Dense 9, Elu), Dense 1"."""
    parts: list[str] = []
    at = 0
    while at < len(titles):
        repeats, period = max(
            (_repeats(titles, at, period), -period) for period in (1, 2, 3)
        )
        period = -period if repeats > 1 else 1
        body = ", ".join(titles[at : at + period])
        body = f"({body})" if period > 1 else body
        parts.append(f"{repeats} x {body}" if repeats > 1 else body)
        at += repeats * period
    return ", ".join(parts)


def _repeats(titles: list[str], at: int, period: int) -> int:
    """How often the next `period` titles follow each other."""
    body, count = titles[at : at + period], 1
    while titles[at + count * period : at + (count + 1) * period] == body:
        count += 1
    return count
