# SPDX-License-Identifier: Apache-2.0
"""The workloads speed is judged on: a table of models, and the arrays they train on.

A workload is data, not code: a row of `WORKLOADS` names the input, the layers, the
loss, the optimizer and the batch, and every peer builds its own model from that row.
A new workload is a new row; a new kind of layer is one class in layers.py and one
branch in each peer that has it (a peer without it raises `NotEquivalent` and is shown
as absent).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.layers import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Elu,
    Flatten,
    Layer,
    Pool,
    Shape,
    folded,
)

ROOT = Path(__file__).resolve().parent.parent


class NotEquivalent(Exception):
    """A peer cannot express a workload exactly, so it is not timed on it."""


@dataclass(frozen=True)
class Optimizer:
    """Keras 3 optimizer with Keras 3 defaults; `epsilon` sits where Keras puts it.

    sgd: w -= lr g. rmsprop: v = rho v + (1 - rho) g^2, w -= lr g / sqrt(v + epsilon).
    adam: w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon).
    """

    name: str
    learning_rate: float
    rho: float = 0.9
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


SGD = Optimizer("sgd", 0.01)
RMSPROP = Optimizer("rmsprop", 0.001)
ADAM = Optimizer("adam", 0.001)
SPARSE_CE = "sparse_categorical_crossentropy"
MSE = "mean_squared_error"


@dataclass(frozen=True)
class Workload:
    """One training task. `samples` is a whole number of batches on purpose, so that no
    peer has to compile a second shape for a short last batch, and the number of steps
    has many divisors, so that `steps_per_execution` can be tuned. `steps_rtol` is how
    far the losses of the first steps may lie from the float64 oracle's, `epoch_rtol`
    the same of the first epoch's mean."""

    name: str
    data: str
    input_shape: Shape
    layers: tuple[Layer, ...]
    loss: str
    batch: int
    optimizer: Optimizer
    samples: int
    steps_rtol: float = 1e-5
    epoch_rtol: float = 1e-3

    @property
    def steps(self) -> int:
        return self.samples // self.batch

    def shapes(self) -> Iterator[tuple[Layer, Shape]]:
        """Each layer with the shape of one sample that enters it."""
        shape = self.input_shape
        for layer in self.layers:
            yield layer, shape
            shape = layer.output(shape)

    def stack(
        self, weights: Sequence[np.ndarray]
    ) -> Iterator[tuple[Layer, Shape, list[np.ndarray]]]:
        """As `shapes`, with each layer's own of the weights in Keras order."""
        given = iter(weights)
        for layer, shape in self.shapes():
            yield layer, shape, list(islice(given, layer.n_weights))

    def has(self, *kinds: type[Layer]) -> bool:
        return any(isinstance(layer, kinds) for layer in self.layers)

    def flops_per_sample(self) -> float:
        """Multiply-adds counted twice, forward + backward, no input gradient in the
        first layer: the floor that the peak rate sets for a training step."""
        products = [n for layer, s in self.shapes() if (n := layer.products(s))]
        return 2.0 * (3 * sum(products) - products[0])

    def without_dropout(self) -> Workload:
        """The same with every rate 0: masks are random, so only this has losses that
        two frameworks must agree in."""
        layers = tuple(
            Dropout(0.0) if isinstance(layer, Dropout) else layer
            for layer in self.layers
        )
        return replace(self, layers=layers)

    def shortened(self) -> Workload:
        """The same on a quarter of the samples, at least ten steps."""
        steps = min(self.steps, max(10, self.steps // 4))
        return replace(self, samples=steps * self.batch)

    def sheet(self) -> dict[str, Any]:
        """Everything that a result file tells about the workload."""
        size = "x".join(map(str, self.input_shape))
        titles = [layer.title() for layer in self.layers]
        facts = {**asdict(self), "model": f"{size}, {folded(titles)}"}
        del facts["layers"]
        return facts | {"flops_per_sample": self.flops_per_sample()}


def mlp(*hidden: int) -> tuple[Dense, ...]:
    """Classifier of ten classes with hidden relu layers."""
    return (*(Dense(units, "relu") for units in hidden), Dense(10, "softmax"))


_DEEP = (*20 * (Dense(100), BatchNorm(), Elu()), Dense(10, "softmax"))
_LENET = (
    *(Conv(32, 3, "relu"), Pool(), Conv(64, 3, "relu"), Pool(), Flatten()),
    *mlp(128),
)
_CNN = (
    *(Conv(64, 7, "relu"), Pool()),
    *(*2 * (Conv(128, 3, "relu"),), Pool()),
    *(*2 * (Conv(256, 3, "relu"),), Pool(), Flatten()),
    *(Dense(128, "relu"), Dropout(0.5), Dense(64, "relu"), Dropout(0.5)),
    Dense(10, "softmax"),
)
_IMAGE = (28, 28, 1)
_ROWS = (
    Workload("mlp32", "mnist", (784,), mlp(300, 100), SPARSE_CE, 32, SGD, 19_200),
    Workload("mlp128", "mnist", (784,), mlp(784), SPARSE_CE, 128, RMSPROP, 19_200),
    Workload(
        "reg32", "california", (8,), (Dense(30, "relu"), Dense(1)), MSE, 32, SGD, 11_520
    ),
    Workload("deep32", "mnist", (784,), _DEEP, SPARSE_CE, 32, SGD, 4_800),
    # Adam's first steps have the size of the rate whatever the gradient's: rounding in
    # tiny gradients and in 1 - beta_2^t (float32 in Keras) moves the loss by 2e-4.
    Workload(
        "wide512", "mnist", (784,), mlp(2048, 2048), SPARSE_CE, 512, ADAM, 5_120, 1e-3
    ),
    Workload("lenet64", "mnist", _IMAGE, _LENET, SPARSE_CE, 64, ADAM, 1_920, 1e-3),
    # Nine layers deep the tenth step amplifies what the first eight keep below 1e-6:
    # NumPy in float32 is 1e-4 off there, Keras 9e-4, JAX 1.1e-3, torch 1.5e-3.
    Workload("cnn32", "mnist", _IMAGE, _CNN, SPARSE_CE, 32, ADAM, 640, 3e-3),
)
WORKLOADS: dict[str, Workload] = {row.name: row for row in _ROWS}


def initial_weights(workload: Workload, seed: int = 0) -> list[np.ndarray]:
    """Glorot-uniform kernels, zero biases and untouched statistics, in Keras order."""
    rng = np.random.default_rng(seed)
    return [w for layer, shape in workload.shapes() for w in layer.weights(shape, rng)]


def load(workload: Workload) -> tuple[np.ndarray, np.ndarray, str]:
    """Arrays of a workload and where they came from.

    Returns:
        `(x, y, source)`: x float32 `(samples, *input_shape)`, y int32 `(samples,)` for
        classes or float32 `(samples, 1)`; source is "mnist", "california" or a name
        that begins with "synthetic".
    """
    x, y, source = _LOADERS[workload.data](workload.samples)
    return np.ascontiguousarray(x.reshape(-1, *workload.input_shape)), y, source


def _data_folder() -> Path:
    return Path(os.environ.get("FASTNN_BENCH_DATA", ROOT.parent / "shared" / "data"))


def _mnist(samples: int) -> tuple[np.ndarray, np.ndarray, str]:
    folder = _data_folder() / "mnist"
    images, labels = (
        folder / f"train-{stem}-ubyte.gz" for stem in ("images-idx3", "labels-idx1")
    )
    if not (images.exists() and labels.exists()):
        return _synthetic_digits(samples)
    pixels = np.frombuffer(_unpacked(images), np.uint8, offset=16)
    classes = np.frombuffer(_unpacked(labels), np.uint8, offset=8)
    x = pixels.reshape(-1, 784)[:samples].astype(np.float32) / np.float32(255)
    return x, classes[:samples].astype(np.int32), "mnist"


@cache
def _unpacked(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _synthetic_digits(samples: int) -> tuple[np.ndarray, np.ndarray, str]:
    """Ten noisy prototypes with MNIST's shape, range and share of zero pixels."""
    rng = np.random.default_rng(1)
    prototypes = rng.random((10, 784)) * (rng.random((10, 784)) < 0.3)
    y = rng.integers(0, 10, samples).astype(np.int32)
    noise = rng.normal(0.0, 0.25, (samples, 784)) * (rng.random((samples, 784)) < 0.2)
    x = np.clip(prototypes[y] + noise, 0.0, 1.0)
    return x.astype(np.float32), y, "synthetic digits"


def _california(samples: int) -> tuple[np.ndarray, np.ndarray, str]:
    path = _data_folder() / "california_housing.csv.gz"
    if not path.exists():
        return _synthetic_houses(samples)
    with gzip.open(path, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", skiprows=1)
    table = table[np.random.default_rng(2).permutation(len(table))[:samples]]
    x, y = table[:, :-1], table[:, -1:]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    # A few houses lie 60 deviations out; clipped, plain SGD stays finite for any peer.
    return np.clip(x, -5, 5).astype(np.float32), y.astype(np.float32), "california"


def _synthetic_houses(samples: int) -> tuple[np.ndarray, np.ndarray, str]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(samples, 8))
    y = 2.0 + np.tanh(x @ rng.normal(size=(8, 1))) + 0.1 * rng.normal(size=(samples, 1))
    return x.astype(np.float32), y.astype(np.float32), "synthetic houses"


_LOADERS = {"mnist": _mnist, "california": _california}
