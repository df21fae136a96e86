# SPDX-License-Identifier: Apache-2.0
"""An MLP classifier in float64 NumPy, written out by hand: the oracle of training."""

from __future__ import annotations

import numpy as np


def forward(weights: list[np.ndarray], x: np.ndarray) -> list[np.ndarray]:
    """Activations of all layers; relu between, softmax at the end."""
    out = [x]
    last = len(weights) // 2 - 1
    for i in range(last + 1):
        z = out[-1] @ weights[2 * i] + weights[2 * i + 1]
        if i < last:
            out.append(np.maximum(z, 0))
        else:
            e = np.exp(z - z.max(1, keepdims=True))
            out.append(e / e.sum(1, keepdims=True))
    return out


def loss_and_grads(
    weights: list[np.ndarray], x: np.ndarray, labels: np.ndarray
) -> tuple[float, list[np.ndarray]]:
    """Mean cross-entropy over the batch, and its gradients."""
    acts = forward(weights, x)
    n = len(x)
    loss = -np.log(acts[-1][np.arange(n), labels]).mean()
    delta = acts[-1].copy()
    delta[np.arange(n), labels] -= 1
    delta /= n
    grads: list[np.ndarray] = []
    for i in range(len(weights) // 2 - 1, -1, -1):
        grads[:0] = [acts[i].T @ delta, delta.sum(0)]
        if i:
            delta = (delta @ weights[2 * i].T) * (acts[i] > 0)
    return float(loss), grads


class SGD:
    def __init__(self, lr: float) -> None:
        self.lr = lr

    def step(self, weights: list[np.ndarray], grads: list[np.ndarray]) -> None:
        for w, g in zip(weights, grads, strict=True):
            w -= self.lr * g


class Momentum(SGD):
    """Keras's form: m = momentum m - lr g; w += m, or momentum m - lr g more."""

    def __init__(self, lr: float, momentum: float, nesterov: bool) -> None:
        super().__init__(lr)
        self.momentum, self.nesterov = momentum, nesterov
        self.m: list[np.ndarray] = []

    def step(self, weights: list[np.ndarray], grads: list[np.ndarray]) -> None:
        self.m = self.m or [np.zeros_like(w) for w in weights]
        for w, g, m in zip(weights, grads, self.m, strict=True):
            m *= self.momentum
            m -= self.lr * g
            w += self.momentum * m - self.lr * g if self.nesterov else m


class RMSprop(SGD):
    """Keras 3: epsilon inside the root."""

    def __init__(self, lr: float, rho: float = 0.9, epsilon: float = 1e-7) -> None:
        super().__init__(lr)
        self.rho, self.epsilon = rho, epsilon
        self.v: list[np.ndarray] = []

    def step(self, weights: list[np.ndarray], grads: list[np.ndarray]) -> None:
        self.v = self.v or [np.zeros_like(w) for w in weights]
        for w, g, v in zip(weights, grads, self.v, strict=True):
            v *= self.rho
            v += (1 - self.rho) * g * g
            w -= self.lr * g / np.sqrt(v + self.epsilon)


class Adam(SGD):
    """Keras 3: epsilon outside the root, bias correction in the step size."""

    def __init__(self, lr: float, epsilon: float = 1e-7) -> None:
        super().__init__(lr)
        self.epsilon, self.t = epsilon, 0
        self.m: list[np.ndarray] = []
        self.v: list[np.ndarray] = []

    def step(self, weights: list[np.ndarray], grads: list[np.ndarray]) -> None:
        self.m = self.m or [np.zeros_like(w) for w in weights]
        self.v = self.v or [np.zeros_like(w) for w in weights]
        self.t += 1
        alpha = self.lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for w, g, m, v in zip(weights, grads, self.m, self.v, strict=True):
            m += (g - m) * (1 - 0.9)
            v += (g * g - v) * (1 - 0.999)
            w -= alpha * m / (np.sqrt(v) + self.epsilon)
