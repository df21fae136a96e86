# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies between label distributions and predicted probabilities.

The formulas are those of `fastnn.ops`, here with smoothed labels and checks of labels.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn.errors import SPARSE_LABELS, ShapeError
from fastnn.losses.base import (
    INDEX_FUNCTIONS,
    FunctionLoss,
    IndexLoss,
    as_float,
    pair,
)
from fastnn.ops.crossentropy import (
    binary_of_probabilities,
    last_axis,
    probabilities,
)
from fastnn.serialization import export

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_LOSSES = "keras.losses"
_BOTH = ("keras.metrics", "keras.losses")
_INDEX_DTYPES = ("uint8", "int32", "int64")


def _categorical_pair(
    name: str, y_true: Any, y_pred: Any, label_smoothing: float, axis: int
) -> tuple[Tensor, Tensor]:
    y_true, y_pred = pair(name, y_true, y_pred)
    classes = y_pred.shape[axis]
    if classes == 1:
        warnings.warn(
            f"[{name}] y_pred has one class (shape {tuple(y_pred.shape)}), so the loss "
            "is always 0; use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=3,
        )
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + label_smoothing / classes
    return y_true, y_pred


@export(*_BOTH)
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """`-sum(y_true * log(y_pred))` over the classes.

    Args:
        y_true: one-hot labels or probabilities, `(..., classes)`.
        y_pred: probabilities, or logits with `from_logits`, of the same shape.
        from_logits: `y_pred` has not passed through softmax.
        label_smoothing: share of the label spread evenly over the classes.
        axis: axis of the classes.
    """
    y_true, y_pred = _categorical_pair(
        "categorical_crossentropy", y_true, y_pred, label_smoothing, axis
    )
    return ops.categorical_crossentropy(y_true, y_pred, from_logits, axis)


def _indices(name: str, y_true: Any, y_pred: Tensor) -> Tensor:
    """Labels as integers of the shape of `y_pred` without its class axis."""
    y_true = ops.convert_to_tensor(y_true)
    shape, expected = tuple(y_true.shape), tuple(y_pred.shape[:-1])
    if shape not in (expected, (*expected, 1)):
        fix = ""
        if shape == tuple(y_pred.shape):
            fix = "One-hot labels go with categorical_crossentropy."
        elif len(expected) > 1 and shape in (expected[:1], (*expected[:1], 1)):
            fix = (
                f"One class for each sample needs outputs of shape (batch, "
                f"{y_pred.shape[-1]}): write Flatten() or a global pooling before the "
                "last Dense."
            )
        raise ShapeError(
            SPARSE_LABELS.format(
                name=name,
                expected=expected,
                column=(*expected, 1),
                y_true=shape,
                y_pred=tuple(y_pred.shape),
                fix=fix,
            ).rstrip()
        )
    if shape != expected:
        y_true = ops.reshape(y_true, expected)
    return y_true if y_true.dtype in _INDEX_DTYPES else ops.cast(y_true, "int32")


@export(*_BOTH)
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Tensor:
    """`-log(y_pred[y_true])`.

    Args:
        y_true: class indices, of the shape of `y_pred` without the class axis, or with
            1 in its place.
        y_pred: probabilities, or logits with `from_logits`, `(..., classes)`.
        from_logits: `y_pred` has not passed through softmax.
        ignore_class: label whose loss is 0.
        axis: axis of the classes.

    Raises:
        ShapeError: when the labels are not indices. A label outside the classes gives
            NaN from logits and infinity from probabilities.
    """
    name = "sparse_categorical_crossentropy"
    y_pred = last_axis(as_float(y_pred), axis, name)
    y_true = _indices(name, y_true, y_pred)
    valid = None
    if ignore_class is not None:
        valid = ops.not_equal(y_true, ignore_class)
        y_true = ops.where(valid, y_true, ops.zeros_like(y_true))
    loss = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits)
    return loss if valid is None else ops.where(valid, loss, 0.0)


INDEX_FUNCTIONS.append(sparse_categorical_crossentropy)


@export(*_BOTH)
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Mean of `-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)` over `axis`.

    Args:
        y_true: 0, 1 or probabilities.
        y_pred: probabilities, or logits with `from_logits`, of the same shape.
        from_logits: `y_pred` has not passed through sigmoid.
        label_smoothing: share of the label moved to 0.5.
        axis: axis of the mean.
    """
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    return ops.mean(ops.binary_crossentropy(y_true, y_pred, from_logits), axis=axis)


@export(*_BOTH)
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """Binary cross-entropy times `(1 - p_t)**gamma` (Lin et al., 2018).

    `p_t` is the probability given to the true class, so easy instances count less.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: see `binary_crossentropy`.
        apply_class_balancing: weigh class 1 with `alpha`, class 0 with `1 - alpha`.
        alpha: weight of class 1.
        gamma: focus on hard instances; 0 gives plain cross-entropy.
    """
    y_true, y_pred = pair("binary_focal_crossentropy", y_true, y_pred)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    p_t = y_true * p + (1.0 - y_true) * (1.0 - p)
    values = ops.power(1.0 - p_t, gamma) * binary_of_probabilities(y_true, p)
    if apply_class_balancing:
        values = values * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(values, axis=axis)


@export(*_BOTH)
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """`-sum(alpha * (1 - p)**gamma * y_true * log(p))` over the classes.

    Args:
        y_true, y_pred, from_logits, label_smoothing, axis: see
            `categorical_crossentropy`.
        alpha: weight of the loss.
        gamma: focus on hard instances.
    """
    name = "categorical_focal_crossentropy"
    y_true, y_pred = _categorical_pair(name, y_true, y_pred, label_smoothing, axis)
    y_true, y_pred = (last_axis(x, axis, name) for x in (y_true, y_pred))
    p = probabilities(ops.softmax(y_pred, -1) if from_logits else y_pred)
    factor = ops.power(1.0 - p, gamma) * alpha
    return -ops.sum(factor * y_true * ops.log(p), axis=-1)


@export(_LOSSES)
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Tensor:
    """`(1 - y_pred[y_true]**q) / q`, robust to noisy labels (Zhang and Sabuncu, 2018).

    Args:
        y_true: class indices, as in `sparse_categorical_crossentropy`.
        y_pred: probabilities, `(..., classes)`.
        q: in (0, 1): near 0 it is cross-entropy, 1 is the mean absolute error.
    """
    y_pred = as_float(y_pred)
    y_true = _indices("categorical_generalized_cross_entropy", y_true, y_pred)
    one_hot = ops.one_hot(y_true, y_pred.shape[-1], dtype=y_pred.dtype)
    p = ops.sum(one_hot * y_pred, axis=-1)
    return (1.0 - ops.power(p, q)) * (1.0 / q)


INDEX_FUNCTIONS.append(categorical_generalized_cross_entropy)


@export(_LOSSES)
class BinaryCrossentropy(FunctionLoss):
    """Cross-entropy of independent yes/no labels; arguments as the function's.

    Example:
        >>> loss = keras.losses.BinaryCrossentropy()
        >>> round(float(loss([[1.0]], [[0.5]])), 4)  # -ln 0.5
        0.6931
    """

    _function = staticmethod(binary_crossentropy)
    _options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@export(_LOSSES)
class BinaryFocalCrossentropy(FunctionLoss):
    """Focal cross-entropy of yes/no labels; arguments as the function's."""

    _function = staticmethod(binary_focal_crossentropy)
    _options = (
        "from_logits",
        "label_smoothing",
        "axis",
        "apply_class_balancing",
        "alpha",
        "gamma",
    )

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma


@export(_LOSSES)
class CategoricalCrossentropy(FunctionLoss):
    """Cross-entropy of one-hot labels; arguments as the function's.

    Example:
        >>> loss = keras.losses.CategoricalCrossentropy()
        >>> round(float(loss([[0.0, 1.0]], [[0.75, 0.25]])), 4)  # -ln 0.25
        1.3863
    """

    _function = staticmethod(categorical_crossentropy)
    _options = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@export(_LOSSES)
class CategoricalFocalCrossentropy(FunctionLoss):
    """Focal cross-entropy of one-hot labels; arguments as the function's."""

    _function = staticmethod(categorical_focal_crossentropy)
    _options = ("from_logits", "label_smoothing", "axis", "alpha", "gamma")

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis
        self.alpha = alpha
        self.gamma = gamma


@export(_LOSSES)
class SparseCategoricalCrossentropy(IndexLoss):
    """Cross-entropy of class indices; arguments as the function's.

    Instances of `ignore_class` count neither in the sum nor in the divisor.

    Example:
        >>> loss = keras.losses.SparseCategoricalCrossentropy()
        >>> round(float(loss([1], [[0.75, 0.25]])), 4)  # -ln 0.25
        1.3863
    """

    _function = staticmethod(sparse_categorical_crossentropy)
    _options = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: str | None = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def _mask(self, y_true: Any, values: Tensor) -> Tensor | None:
        if self.ignore_class is None:
            return None
        return ops.reshape(ops.not_equal(y_true, self.ignore_class), values.shape)


@export(_LOSSES)
class CategoricalGeneralizedCrossEntropy(IndexLoss):
    """Generalized cross-entropy of class indices; arguments as the function's.

    Raises:
        ValueError: when `q` is not in (0, 1).
    """

    _function = staticmethod(categorical_generalized_cross_entropy)
    _options = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: str | None = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"[q] must be between 0 and 1, got {q!r}.")
        super().__init__(name, reduction, dtype)
        self.q = q
