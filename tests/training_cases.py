# SPDX-License-Identifier: Apache-2.0
"""Data, small models and a NumPy trainer for the tests of fit."""

from __future__ import annotations

import numpy as np

from fastnn import layers
from fastnn.models import Sequential
from fastnn.optimizers import SGD

RNG = np.random.default_rng(0)
X = RNG.normal(size=(22, 4))
Y = RNG.normal(size=(22, 1))
LABELS = RNG.integers(0, 3, 22)


class Oracle:
    """4 - 5 relu - outputs, by hand: softmax cross-entropy or mean squared error."""

    def __init__(self, weights, rate=0.1):
        self.w = [w.astype("float64") for w in weights]
        self.rate = rate

    def forward(self, x):
        k1, b1, k2, b2 = self.w
        hidden = np.maximum(x @ k1 + b1, 0)
        return hidden, hidden @ k2 + b2

    def probabilities(self, x):
        z = self.forward(x)[1]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def losses(self, x, y):
        """One value per instance."""
        if y.dtype.kind == "i":
            return -np.log(self.probabilities(x)[np.arange(len(y)), y])
        return ((self.forward(x)[1] - y) ** 2).mean(axis=1)

    def step(self, x, y, weights=None):
        """One SGD step; returns the loss before it."""
        weights = np.ones(len(x)) if weights is None else weights
        values = self.losses(x, y)
        hidden, outputs = self.forward(x)
        if y.dtype.kind == "i":
            dz = self.probabilities(x) - np.eye(outputs.shape[1])[y]
        else:
            dz = 2 * (outputs - y) / outputs.shape[1]
        dz = dz * weights[:, None] / len(x)
        dh = dz @ self.w[2].T * (hidden > 0)
        gradients = [x.T @ dh, dh.sum(0), hidden.T @ dz, dz.sum(0)]
        self.w = [w - self.rate * g for w, g in zip(self.w, gradients, strict=True)]
        return (values * weights).sum() / len(x)

    def epoch(self, x, y, batch, weights=None):
        """One epoch in order; returns the running mean of the loss."""
        total = 0.0
        for i in range(0, len(x), batch):
            part = slice(i, i + batch)
            w = None if weights is None else weights[part]
            total += self.step(x[part], y[part], w) * len(x[part])
        return total / len(x)


def mlp(outputs=1, activation=None, **kwargs):
    return Sequential(
        [
            layers.Input((4,)),
            layers.Dense(5, activation="relu"),
            layers.Dense(outputs, activation=activation),
        ],
        **kwargs,
    )


def regression(eager, **options):
    model = mlp()
    model.compile(SGD(0.1), "mse", run_eagerly=eager, **options)
    return model


def classifier(eager, **options):
    model = mlp(3, "softmax")
    options.setdefault("metrics", ["accuracy"])
    model.compile(
        SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=eager, **options
    )
    return model


def assert_weights(model, oracle, rtol=1e-9):
    for got, expected in zip(model.get_weights(), oracle.w, strict=True):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-12)
