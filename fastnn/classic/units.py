# SPDX-License-Identifier: Apache-2.0
"""Single neurons that learn: the Perceptron and ADALINE."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data


def heaviside(z: Any) -> np.ndarray:
    """0 where z < 0, else 1."""
    return (np.asarray(z) >= 0).astype("int64")


def sgn(z: Any) -> np.ndarray:
    """-1, 0 or 1: the sign of z."""
    return np.sign(z)


class Unit(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What linear classifiers share: one unit for two classes, else one per class."""

    def _prepare(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """(X, numbers of the classes); sets `classes_`."""
        X, y = validate_data(self, X, y, dtype="float64")
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"[{type(self).__name__}] y has one class, {self.classes_[0]!r}; there "
                "must be two or more."
            )
        return X, numbers

    def _keep(self, weights: list[np.ndarray]) -> None:
        """Weights (1 + features) per unit, the bias first."""
        table = np.stack(weights)
        self.coef_ = table[:, 1:]
        self.intercept_ = table[:, 0]

    def decision_function(self, X: Any) -> np.ndarray:
        """float64 (n,) for two classes, else (n, classes): X w + b."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, dtype="float64", reset=False)
        z = X @ self.coef_.T + self.intercept_
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict(self, X: Any) -> np.ndarray:
        """(n,) classes."""
        z = self.decision_function(X)
        return self.classes_[heaviside(z) if z.ndim == 1 else z.argmax(axis=1)]


class LoneUnit(Unit):
    """Units that learn each by itself, without the others."""

    def _fit_units(self, X: Any, y: Any, other: float) -> Self:
        """Each unit learns to answer 1 for the rows of its class, else `other`."""
        X, numbers = self._prepare(X, y)
        random = check_random_state(self.random_state)
        rows = np.column_stack([np.ones(len(X)), X])
        # Two classes need one unit, whose class is the second.
        classes = [1] if len(self.classes_) == 2 else range(len(self.classes_))
        goals = [np.where(numbers == k, 1.0, other) for k in classes]
        weights, self.errors_ = [], []
        for goal in goals:
            w, errors = self._fit_unit(rows, goal, random)
            weights.append(w)
            self.errors_.append(errors)
        self._keep(weights)
        self.n_iter_ = max(map(len, self.errors_))
        return self

    def _fit_unit(
        self, rows: np.ndarray, goal: np.ndarray, random: Any
    ) -> tuple[np.ndarray, list[Any]]:
        """The rule: weights (1 + features), the bias first, and errors by pass."""
        raise NotImplementedError


class Perceptron(LoneUnit):
    """Rosenblatt's rule: w <- w + eta0 (y - step(w x)) x, one row at a time.

    F. Rosenblatt, "The Perceptron" (1957). It finds a line that separates two classes
    when there is one, and wanders for ever otherwise. More than two classes: a unit
    per class.

    Args:
        eta0: learning rate; without effect on the classes predicted, as weights begin
            at 0.
        max_iter: most passes over the data.
        shuffle: another order of the rows in each pass.
        random_state: seed of the order.

    Attributes:
        coef_ (units, features), intercept_ (units,): the weights.
        errors_: list per unit: rows that were wrong in each pass; 0 at the end: done.
        n_iter_: passes of the unit that took longest.
    """

    def __init__(
        self,
        eta0: float = 1.0,
        max_iter: int = 1000,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        self.eta0 = eta0
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Perceptron:
        """Learns from rows X (n, features) with classes y (n,)."""
        return self._fit_units(X, y, other=0.0)

    def _fit_unit(
        self, rows: np.ndarray, goal: np.ndarray, random: Any
    ) -> tuple[np.ndarray, list[int]]:
        w = np.zeros(rows.shape[1])
        errors = []
        for _ in range(self.max_iter):
            order = random.permutation(len(rows)) if self.shuffle else range(len(rows))
            wrong = 0
            for i in order:
                missing = goal[i] - (rows[i] @ w >= 0)
                if missing:
                    w += self.eta0 * missing * rows[i]
                    wrong += 1
            errors.append(wrong)
            if not wrong:
                break
        return w, errors


class Adaline(LoneUnit):
    """ADALINE: the line with least squares, by the Delta rule of Widrow and Hoff.

    With u = w x - theta and goals d = -1 or 1, either batch, w <- w + eta sum (d - u) x
    over all rows, or online, w <- w + eta (d - u) x after each row. Unlike the
    Perceptron's, the error is that of u, not of the class. B. Widrow, M. Hoff,
    "Adaptive switching circuits" (1960). More than two classes: a unit per class.

    Args:
        eta: learning rate, between 0 and 1.
        rule: "online" or "batch".
        eps: stop when the mean of (d - u)^2 changes by no more between two passes.
        max_iter: most passes over the data.
        shuffle: another order of the rows in each pass of the online rule.
        random_state: seed of the order.

    Attributes:
        coef_ (units, features), intercept_ (units,): the weights; theta_ is
            -intercept_, the threshold.
        errors_: list per unit: mean of (d - u)^2 after each pass.
        n_iter_: passes of the unit that took longest.
    """

    def __init__(
        self,
        eta: float = 0.01,
        rule: str = "online",
        eps: float = 1e-6,
        max_iter: int = 1000,
        shuffle: bool = False,
        random_state: Any = None,
    ) -> None:
        self.eta = eta
        self.rule = rule
        self.eps = eps
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state

    @property
    def theta_(self) -> np.ndarray:
        """The threshold of each unit."""
        return -self.intercept_

    def fit(self, X: Any, y: Any) -> Adaline:
        """Learns from rows X (n, features) with classes y (n,).

        Raises:
            ValueError: for another rule, a rate outside of (0, 1), or a rate with which
                the error grows without bound.
        """
        if self.rule not in ("online", "batch"):
            raise ValueError(
                f'[Adaline] rule must be "online" or "batch", received {self.rule!r}.'
            )
        if not 0 < self.eta < 1:
            raise ValueError(
                f"[Adaline] eta must be between 0 and 1, received {self.eta!r}."
            )
        return self._fit_units(X, y, other=-1.0)

    def _fit_unit(
        self, rows: np.ndarray, goal: np.ndarray, random: Any
    ) -> tuple[np.ndarray, list[float]]:
        w = np.zeros(rows.shape[1])
        errors = [float(np.mean(goal**2))]
        for _ in range(self.max_iter):
            with np.errstate(over="ignore", invalid="ignore"):
                self._pass(w, rows, goal, random)
                errors.append(float(np.mean((goal - rows @ w) ** 2)))
            if not np.isfinite(errors[-1]):
                raise ValueError(
                    f"[Adaline] the error grows without bound with eta={self.eta}: "
                    "take a smaller one, or bring the columns of X to mean 0 and "
                    "deviation 1."
                )
            if abs(errors[-1] - errors[-2]) <= self.eps:
                return w, errors[1:]
        warnings.warn(
            f"[Adaline] the error still changes after {self.max_iter} passes: take a "
            "larger max_iter, eta or eps.",
            ConvergenceWarning,
            stacklevel=4,  # the caller of `fit`
        )
        return w, errors[1:]

    def _pass(
        self, w: np.ndarray, rows: np.ndarray, goal: np.ndarray, random: Any
    ) -> None:
        if self.rule == "batch":
            w += self.eta * (goal - rows @ w) @ rows
            return
        order = random.permutation(len(rows)) if self.shuffle else range(len(rows))
        for i in order:
            w += self.eta * (goal[i] - rows[i] @ w) * rows[i]
