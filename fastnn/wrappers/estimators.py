# SPDX-License-Identifier: Apache-2.0
"""Keras 3's wrappers: a compiled model, or a function that makes one, as estimator."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
)
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn.models import Model, clone_model


class SKLBase(BaseEstimator):  # type: ignore[misc]
    """What the wrappers share.

    Args:
        model: a compiled model, which is copied (new weights) before it learns; or a
            function `model(X, y, **model_kwargs)` that returns one. It is given `y` as
            the model gets it: (n, outputs), one-hot for a classifier.
        warm_start: go on with the model of the fit before; a given model is used
            itself.
        model_kwargs: for the function.
        fit_kwargs: for the model's `fit`, which those of this `fit` overrule.

    Attributes:
        model_: the model that has learned.
        history_: what its `fit` returned.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict[str, Any] | None = None,
        fit_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_clone__(self) -> Self:
        made = self.model
        if isinstance(made, Model):
            made = copy.deepcopy(made)
        options = (copy.deepcopy(o) for o in (self.model_kwargs, self.fit_kwargs))
        return type(self)(made, self.warm_start, *options)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def _made(self, X: np.ndarray, y: np.ndarray) -> Model:
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            found = self.model if self.warm_start else clone_model(self.model)
        else:
            found = self.model(X=X, y=y, **(self.model_kwargs or {}))
        if not found.compiled:
            raise RuntimeError(
                f"[{type(self).__name__}] the model must be compiled with a loss and "
                "an optimizer: model.compile('adam', 'mse')."
            )
        return found

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Self:
        """Makes the model and trains it.

        Args:
            X: (n, ...), numbers.
            y: (n,) or (n, outputs).
            **kwargs: for the model's `fit`: epochs, callbacks, ...

        Raises:
            RuntimeError: for a model that is not compiled.
            ValueError: for targets of another kind.
        """
        X, y = validate_data(self, X, y, allow_nd=True, multi_output=True)
        targets = self._encoded(y)
        self.model_ = self._made(X, targets)
        options = {**(self.fit_kwargs or {}), **kwargs}
        self.history_ = self.model_.fit(X, targets, **options)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """What the model says, shaped as `y` was."""
        return self._decoded(self._outputs(X))

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        X = validate_data(self, X, allow_nd=True, reset=False)
        found: np.ndarray = self.model_.predict(X, verbose=0)
        return found

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        type_of_target(y, raise_unknown=True)
        self._flat = y.ndim == 1
        return y[:, None] if self._flat else y

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.squeeze(1) if self._flat and outputs.ndim == 2 else outputs


class SKLearnClassifier(ClassifierMixin, SKLBase):  # type: ignore[misc]
    """A model as a classifier; see `SKLBase`.

    The model gets classes as one-hot rows: the loss is "categorical_crossentropy".

    Attributes:
        classes_: (classes,), sorted.

    Example:
        >>> def network(X, y):
        ...     dense = keras.layers.Dense(y.shape[1], activation="softmax")
        ...     model = keras.Sequential([keras.Input(X.shape[1:]), dense])
        ...     model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
        ...     return model
        >>> from fastnn.wrappers import SKLearnClassifier
        >>> found = SKLearnClassifier(network, fit_kwargs={"epochs": 99, "verbose": 0})
        >>> found.fit([[0.0], [1.0]], ["no", "yes"]).predict([[0.1]]).tolist()
        ['no']
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        kind = type_of_target(y, raise_unknown=True)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                "[SKLearnClassifier] Only binary and multiclass target types are "
                f"supported: one class per row. Received {kind} targets of shape "
                f"{y.shape}."
            )
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise ValueError(
                "[SKLearnClassifier] Classifier can't train when only one class is "
                f"present: all of y is {self.classes_[0]!r}."
            )
        return np.eye(len(self.classes_), dtype="float32")[numbers.ravel()]

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.classes_[outputs.argmax(axis=1)]
        return found

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs, (n, classes)."""
        return self._outputs(X)


class SKLearnRegressor(RegressorMixin, SKLBase):  # type: ignore[misc]
    """A model as a regressor; see `SKLBase`. Its `score` is R squared."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, SKLBase):  # type: ignore[misc]
    """A model whose outputs are features for the next step; see `SKLBase`."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs."""
        return self._outputs(X)


__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]
