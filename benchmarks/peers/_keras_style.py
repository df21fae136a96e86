# SPDX-License-Identifier: Apache-2.0
"""The same few lines of user code for every framework with the Keras interface."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import layers
from benchmarks.peers.base import Peer
from benchmarks.workloads import Optimizer

# A description as a layer of `k`, which holds the names of keras.layers.
_LAYERS: dict[type[layers.Layer], Any] = {
    layers.Dense: lambda k, d: k.Dense(d.units, activation=d.activation),
    layers.Conv: lambda k, d: k.Conv2D(
        d.filters, d.size, padding="same", activation=d.activation
    ),
    layers.Pool: lambda k, d: k.MaxPooling2D(d.size),
    layers.BatchNorm: lambda k, d: k.BatchNormalization(
        momentum=d.momentum, epsilon=d.epsilon
    ),
    layers.Elu: lambda k, d: k.ELU(),
    layers.Flatten: lambda k, d: k.Flatten(),
    layers.Dropout: lambda k, d: k.Dropout(d.rate),
}


def optimizer(k: Any, o: Optimizer) -> Any:
    if o.name == "sgd":
        return k.optimizers.SGD(o.learning_rate)
    if o.name == "rmsprop":
        return k.optimizers.RMSprop(o.learning_rate, rho=o.rho, epsilon=o.epsilon)
    return k.optimizers.Adam(
        o.learning_rate, beta_1=o.beta_1, beta_2=o.beta_2, epsilon=o.epsilon
    )


class KerasStylePeer(Peer):
    """`keras` holds the names of the Keras interface; `options` go to `compile`."""

    keras: Any

    def __init__(self, **options: Any) -> None:
        self.options = options

    def build(self) -> None:
        k = self.keras
        self.model = k.Sequential(
            [
                k.Input(shape=self.workload.input_shape),
                *(_LAYERS[type(d)](k.layers, d) for d in self.workload.layers),
            ]
        )
        self.compile()
        self.reset()

    def compile(self) -> None:
        self.model.compile(
            optimizer=optimizer(self.keras, self.workload.optimizer),
            loss=self.workload.loss,
            **self.options,
        )

    def reset(self) -> None:
        self.model.set_weights(self.weights)
        for variable in self.model.optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(np.zeros(variable.shape, str(variable.dtype)))

    def _fit(self, x: np.ndarray, y: np.ndarray, epochs: int, shuffle: bool) -> list:
        history = self.model.fit(
            x,
            y,
            batch_size=self.workload.batch,
            epochs=epochs,
            shuffle=shuffle,
            verbose=0,
        )
        return [float(loss) for loss in history.history["loss"]]

    def step_losses(self, steps: int) -> list[float]:
        """`fit` on one batch at a time: a one-step epoch reports that step's loss."""
        batch, losses = self.workload.batch, []
        for start in range(0, steps * batch, batch):
            x, y = self.x[start : start + batch], self.y[start : start + batch]
            losses += self._fit(x, y, 1, False)
        return losses

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        return self._fit(self.x, self.y, epochs, shuffle)

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(x, verbose=0))
