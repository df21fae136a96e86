# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's MLP, where its optimizer is the same one (no RMSprop there)."""

from __future__ import annotations

import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from benchmarks.layers import Dense
from benchmarks.peers.base import Peer
from benchmarks.workloads import MSE, NotEquivalent

warnings.simplefilter("ignore", ConvergenceWarning)


class SklearnPeer(Peer):
    def build(self) -> None:
        o = self.workload.optimizer
        if o.name == "rmsprop":
            raise NotEquivalent("[sklearn] MLP has no RMSprop (sgd, adam).")
        hidden = self.workload.layers[:-1]
        if not all(isinstance(layer, Dense) for layer in hidden):
            raise NotEquivalent("[sklearn] MLP has fully connected layers only.")
        self.regression = self.workload.loss == MSE
        estimator = MLPRegressor if self.regression else MLPClassifier
        # MLPRegressor minimises half the squared error: twice the rate, twice the loss.
        self.scale = 2.0 if self.regression else 1.0
        self.model = estimator(
            hidden_layer_sizes=tuple(layer.units for layer in hidden),
            activation=hidden[0].activation,
            solver=o.name,
            alpha=0.0,
            batch_size=self.workload.batch,
            learning_rate_init=o.learning_rate * (self.scale if o.name == "sgd" else 1),
            momentum=0.0,
            nesterovs_momentum=False,
            beta_1=o.beta_1,
            beta_2=o.beta_2,
            epsilon=o.epsilon * (0.5 if self.regression else 1),
            tol=0.0,
            n_iter_no_change=10**9,
            max_iter=1,
            warm_start=True,
        )
        self.target = self.y.ravel() if self.regression else self.y
        # One step allocates the arrays; `reset` then fills in the common weights.
        classes = np.unique(self.target, return_index=True)[1]
        first = np.arange(self.workload.batch) if self.regression else classes
        self.model.set_params(batch_size=len(first))
        self.model.fit(self.x[first], self.target[first])
        self.model.set_params(batch_size=self.workload.batch)
        self.classes = classes
        self.reset()

    def reset(self) -> None:
        """`fit` makes a new optimizer on every call, so the weights are the state."""
        self.model.coefs_ = [np.array(w) for w in self.weights[::2]]
        self.model.intercepts_ = [np.array(w) for w in self.weights[1::2]]

    def step_losses(self, steps: int) -> list[float]:
        """`partial_fit` keeps the optimizer from step to step, as an epoch does."""
        batch, losses = self.workload.batch, []
        self.model.set_params(shuffle=False, warm_start=False)
        if hasattr(self.model, "_optimizer"):
            del self.model._optimizer
        for start in range(0, steps * batch, batch):
            rows = slice(start, start + batch)
            self.model.partial_fit(self.x[rows], self.target[rows])
            losses.append(self.scale * self.model.loss_)
        return losses

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        self.model.set_params(shuffle=shuffle, max_iter=epochs, warm_start=True)
        self.model.t_, self.model.n_iter_, self.model.loss_curve_ = 0, 0, []
        self.model.fit(self.x, self.target)
        return [self.scale * loss for loss in self.model.loss_curve_[-epochs:]]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(x) if self.regression else self.model.predict_proba(x)

    def versions(self) -> dict[str, str]:
        return {"scikit-learn": sklearn.__version__}


def make(variant: str) -> Peer:
    return SklearnPeer()
