# SPDX-License-Identifier: Apache-2.0
"""MADALINE: several ADALINEs whose votes are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn.classic.units import Unit


class Madaline(Unit):
    """A layer of ADALINEs and a fixed vote: active when at least k of them are.

    Rule I with minimal disturbance (B. Widrow, R. Winter, "Neural nets for adaptive
    filtering and adaptive pattern recognition", 1988): when the vote is wrong, as many
    units as are needed, those with the smallest abs(u), take a step of the Delta rule
    towards the other side. Two units with "or" or "and" separate XOR. Two classes.

    Args:
        units: number of ADALINEs.
        vote: "or" (k = 1), "and" (k = units) or "majority" (k = units // 2 + 1).
        eta: learning rate, between 0 and 1.
        max_iter: most passes over the data from one start.
        restarts: new starts when rows are still wrong: the rule may get stuck.
        random_state: seed of the first weights and of the order of the rows.

    Attributes:
        coef_ (units, features), intercept_ (units,): the weights of the ADALINEs.
        errors_: rows that were wrong after each pass of the start that was kept.
        n_iter_: their number.
    """

    def __init__(
        self,
        units: int = 2,
        vote: str = "or",
        eta: float = 0.1,
        max_iter: int = 200,
        restarts: int = 10,
        random_state: Any = None,
    ) -> None:
        self.units = units
        self.vote = vote
        self.eta = eta
        self.max_iter = max_iter
        self.restarts = restarts
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _needed(self) -> int:
        needed = {"or": 1, "and": self.units, "majority": self.units // 2 + 1}
        if self.vote not in needed:
            raise ValueError(
                '[Madaline] vote must be "or", "and" or "majority", received '
                f"{self.vote!r}."
            )
        return needed[self.vote]

    def fit(self, X: Any, y: Any) -> Madaline:
        """Learns from rows X (n, features) with two classes y (n,).

        Raises:
            ValueError: for more than two classes, or arguments that are out of range.
        """
        needed = self._needed()
        if self.units < 1 or not 0 < self.eta < 1:
            raise ValueError(
                "[Madaline] needs one unit or more and 0 < eta < 1, received units="
                f"{self.units!r}, eta={self.eta!r}."
            )
        X, numbers = self._prepare(X, y)
        if len(self.classes_) > 2:
            raise ValueError(
                "Only binary classification is supported. [Madaline] y has "
                f"{len(self.classes_)} classes."
            )
        random = check_random_state(self.random_state)
        rows = np.column_stack([np.ones(len(X)), X])
        best: Any = None
        for _ in range(1 + self.restarts):
            found = self._fit_once(rows, numbers == 1, needed, random)
            if best is None or min(found[1]) < min(best[1]):
                best = found
            if not min(best[1]):
                break
        self._keep(list(best[0]))
        self.errors_ = best[1]
        self.n_iter_ = len(best[1])
        return self

    def _fit_once(
        self, rows: np.ndarray, goal: np.ndarray, needed: int, random: Any
    ) -> tuple[np.ndarray, list[int]]:
        w = random.uniform(-0.5, 0.5, (self.units, rows.shape[1]))
        errors: list[int] = []
        best = w.copy()
        for _ in range(self.max_iter):
            for i in random.permutation(len(rows)):
                self._step(w, rows[i], goal[i], needed)
            votes = (rows @ w.T >= 0).sum(axis=1)
            wrong = int(((votes >= needed) != goal).sum())
            if not errors or wrong < min(errors):
                best = w.copy()
            errors.append(wrong)
            if not wrong:
                break
        return best, errors

    def _step(self, w: np.ndarray, row: np.ndarray, goal: bool, needed: int) -> None:
        u = w @ row
        active = int((u >= 0).sum())
        if (active >= needed) == goal:
            return
        count = needed - active if goal else active - needed + 1
        candidates = np.flatnonzero((u < 0) if goal else (u >= 0))
        nearest = candidates[np.argsort(np.abs(u[candidates]), kind="stable")[:count]]
        aim = 1.0 if goal else -1.0
        w[nearest] += self.eta * (aim - u[nearest])[:, None] * row

    def decision_function(self, X: Any) -> np.ndarray:
        """float64 (n,): the vote's margin: the k-th largest u."""
        check_is_fitted(self, "coef_")
        X = validate_data(self, X, dtype="float64", reset=False)
        u = np.sort(X @ self.coef_.T + self.intercept_, axis=1)
        return u[:, -self._needed()]
