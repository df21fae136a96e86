# SPDX-License-Identifier: Apache-2.0
"""NumPy by hand: the float64 oracle every loss is compared with, and a predict peer."""

from __future__ import annotations

import numpy as np

from benchmarks.peers._numpy_layers import NODES, Node
from benchmarks.peers.base import Peer
from benchmarks.workloads import MSE, Optimizer


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
        self.reset()

    def reset(self) -> None:
        self.params = [np.array(w, self.dtype) for w in self.weights]
        self.nodes: list[Node] = [
            NODES[type(layer)](layer, own)
            for layer, _, own in self.workload.stack(self.params)
        ]
        trained = [w for node in self.nodes for w in node.trained]
        self.update = Update(self.workload.optimizer, trained)

    def _forward(self, x: np.ndarray, training: bool) -> np.ndarray:
        for node in self.nodes:
            x = node.forward(x, training)
        return x

    def _train(self, x: np.ndarray, y: np.ndarray) -> float:
        out, rows = self._forward(x, True), len(x)
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
        for node in reversed(self.nodes):
            delta = node.backward(delta)
        self.update([g for node in self.nodes for g in node.grads])
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
        out = self._forward(x, False)
        if self.workload.loss == MSE:
            return out
        e = np.exp(out - out.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def versions(self) -> dict[str, str]:
        return {"numpy": np.__version__}


def make(variant: str) -> Peer:
    return NumpyPeer(np.float32)
