# SPDX-License-Identifier: Apache-2.0
"""Keras 2's wrappers: a function that makes a model, and its arguments by name.

New programs take `fastnn.wrappers.SKLearnRegressor` and its siblings.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from fastnn.errors import warn_renamed
from fastnn.models import Model
from fastnn.utils import to_categorical


class BaseWrapper(BaseEstimator):  # type: ignore[misc]
    """What both wrappers share.

    Args:
        build_fn: makes a compiled model from its keyword arguments.
        **sk_params: arguments of `build_fn`, and of the model's `fit`, `predict` and
            `evaluate`: what a search tries other values for.

    Attributes:
        model: what `build_fn` made.

    Raises:
        ValueError: for a name that none of them takes.
    """

    _new = ""

    def __init__(self, build_fn: Callable[..., Model], **sk_params: Any) -> None:
        name = type(self).__name__
        warn_renamed(
            f"keras.wrappers.scikit_learn.{name}", f"keras.wrappers.{self._new}"
        )
        self.build_fn = build_fn
        self.sk_params = sk_params
        known = {n for f in self._functions() for n in _arguments(f)}
        unknown = sorted(sk_params.keys() - known)
        if unknown and not _takes_any(build_fn):
            raise ValueError(
                f"[{name}] {unknown[0]!r} is no argument of {build_fn.__name__}, nor "
                "of the model's fit, predict or evaluate."
            )

    def _functions(self) -> list[Callable[..., Any]]:
        return [self.build_fn, Model.fit, Model.predict, Model.evaluate]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """All arguments by name."""
        return {**self.sk_params, "build_fn": self.build_fn}

    def set_params(self, **params: Any) -> Self:
        """Other values for arguments."""
        build_fn = params.pop("build_fn", self.build_fn)
        type(self).__init__(self, build_fn, **{**self.sk_params, **params})
        return self

    def _for(self, function: Callable[..., Any], given: Any = ()) -> dict[str, Any]:
        """Those of the arguments that a function takes, and what was given for it."""
        taken = _arguments(function)
        return {k: v for k, v in self.sk_params.items() if k in taken} | dict(given)

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Makes a model and trains it; returns its History.

        Args:
            x: (n, ...).
            y: (n,) or (n, outputs).
            **kwargs: of the model's `fit`.
        """
        options = self._for(self.build_fn)
        if _takes_any(self.build_fn):
            others = {n for f in self._functions()[1:] for n in _arguments(f)}
            options |= {k: v for k, v in self.sk_params.items() if k not in others}
        self.model = self.build_fn(**options)
        return self.model.fit(x, self._targets(y), **self._for(Model.fit, kwargs))

    def _targets(self, y: Any) -> Any:
        """What the model learns."""
        return y


def _arguments(function: Callable[..., Any]) -> set[str]:
    found = inspect.signature(function).parameters
    return {n for n, p in found.items() if p.kind is not p.VAR_KEYWORD} - {"self"}


def _takes_any(function: Callable[..., Any]) -> bool:
    found = inspect.signature(function).parameters.values()
    return any(p.kind is p.VAR_KEYWORD for p in found)


class KerasRegressor(RegressorMixin, BaseWrapper):  # type: ignore[misc]
    """A regressor whose score is the negative loss; see `BaseWrapper`."""

    _new = "SKLearnRegressor"

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """(n,) or (n, outputs)."""
        found = self.model.predict(x, **self._for(Model.predict, kwargs))
        return np.squeeze(found, -1) if found.shape[-1:] == (1,) else found

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """The model's loss, negative: greater is better."""
        found = self.model.evaluate(x, y, **self._for(Model.evaluate, kwargs))
        return -float(found[0] if isinstance(found, list) else found)


class KerasClassifier(ClassifierMixin, BaseWrapper):  # type: ignore[misc]
    """A classifier whose score is the accuracy; see `BaseWrapper`.

    Attributes:
        classes_: (classes,), sorted.
    """

    _new = "SKLearnClassifier"

    def fit(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Makes a model and trains it; y (n,) classes, or (n, classes) one-hot."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            self.classes_ = np.arange(y.shape[1])
        else:
            self.classes_ = np.unique(y)
            y = np.searchsorted(self.classes_, y.reshape(len(y)))
        return super().fit(x, y, **kwargs)

    def _targets(self, y: Any) -> Any:
        one_hot = self.model.loss == "categorical_crossentropy" and y.ndim == 1
        return to_categorical(y, len(self.classes_)) if one_hot else y

    def predict_proba(self, x: Any, **kwargs: Any) -> np.ndarray:
        """(n, classes)."""
        found = self.model.predict(x, **self._for(Model.predict, kwargs))
        return np.hstack([1 - found, found]) if found.shape[1] == 1 else found

    def predict(self, x: Any, **kwargs: Any) -> np.ndarray:
        """(n,) classes."""
        found: np.ndarray = self.classes_[self.predict_proba(x, **kwargs).argmax(1)]
        return found

    def score(self, x: Any, y: Any, **kwargs: Any) -> float:
        """Share of right answers."""
        y = np.asarray(y)
        if y.ndim == 2 and y.shape[1] > 1:
            y = self.classes_[y.argmax(1)]
        return float(np.mean(self.predict(x, **kwargs) == y.reshape(len(y))))


__all__ = ["KerasClassifier", "KerasRegressor"]
