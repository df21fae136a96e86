# SPDX-License-Identifier: Apache-2.0
"""NumPy by hand: the float64 oracle every loss is compared with, and a predict peer."""

from __future__ import annotations

import numpy as np

from benchmarks.peers.base import Peer
from benchmarks.workloads import MSE, Optimizer

_ACTIVATIONS = ("linear", "relu", "softmax")


class Update:
    """Keras 3's update rules, written out."""

    def __init__(self, options: Optimizer, weights: list[np.ndarray]) -> None:
        self.options, self.weights, self.t = options, weights, 0
        self.m = [np.zeros_like(w) for w in weights]
        self.v = [np.zeros_like(w) for w in weights]

    def __call__(self, gradients: list[np.ndarray]) -> None:
        o = self.options
        self.t += 1
        for w, g, m, v in zip(self.weights, gradients, self.m, self.v, strict=True):
            if o.name == "sgd":
                w -= o.learning_rate * g
            elif o.name == "rmsprop":
                v += (g * g - v) * (1 - o.rho)
                w -= o.learning_rate * g / np.sqrt(v + o.epsilon)
            else:
                m += (g - m) * (1 - o.beta_1)
                v += (g * g - v) * (1 - o.beta_2)
                scale = np.sqrt(1 - o.beta_2**self.t) / (1 - o.beta_1**self.t)
                w -= o.learning_rate * scale * m / (np.sqrt(v) + o.epsilon)


class NumpyPeer(Peer):
    """`dtype` is float64 for the oracle and float32 for `predict`."""

    def __init__(self, dtype: type = np.float64) -> None:
        self.dtype = dtype

    def build(self) -> None:
        for layer in self.workload.layers:
            assert layer.activation in _ACTIVATIONS, layer
        self.reset()

    def reset(self) -> None:
        self.params = [np.array(w, self.dtype) for w in self.weights]
        self.update = Update(self.workload.optimizer, self.params)

    def _forward(self, x: np.ndarray) -> list[np.ndarray]:
        """Inputs of each layer, then the output before softmax."""
        values = [x]
        for index, layer in enumerate(self.workload.layers):
            z = values[-1] @ self.params[2 * index] + self.params[2 * index + 1]
            values.append(np.maximum(z, 0) if layer.activation == "relu" else z)
        return values

    def _train(self, x: np.ndarray, y: np.ndarray) -> float:
        values = self._forward(x)
        out, rows = values[-1], len(x)
        if self.workload.loss == MSE:
            delta = out - y
            loss = float(np.mean(delta * delta))
            delta = 2 * delta / delta.size
        else:
            shifted = out - out.max(axis=1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            loss = float(-log_p[np.arange(rows), y].mean())
            delta = np.exp(log_p)
            delta[np.arange(rows), y] -= 1
            delta /= rows
        gradients: list[np.ndarray] = []
        for index in reversed(range(len(self.workload.layers))):
            gradients = [values[index].T @ delta, delta.sum(axis=0), *gradients]
            if index:
                delta = (delta @ self.params[2 * index].T) * (values[index] > 0)
        self.update(gradients)
        return loss

    def step_losses(self, steps: int) -> list[float]:
        batch = self.workload.batch
        x, y = self.x[: steps * batch].astype(self.dtype), self.y
        return [
            self._train(x[i * batch : (i + 1) * batch], y[i * batch : (i + 1) * batch])
            for i in range(steps)
        ]

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        """In order only: the oracle is never timed, so it need not shuffle."""
        assert not shuffle
        return [
            float(np.mean(self.step_losses(self.workload.steps))) for _ in range(epochs)
        ]

    def predict(self, x: np.ndarray) -> np.ndarray:
        out = self._forward(x)[-1]
        if self.workload.layers[-1].activation != "softmax":
            return out
        e = np.exp(out - out.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}


def make(variant: str) -> Peer:
    return NumpyPeer(np.float32)
