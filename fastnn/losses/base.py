# SPDX-License-Identifier: Apache-2.0
"""Loss: from a value per instance to the number that training lowers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config as _config
from fastnn import ops, tree
from fastnn._names import auto_name
from fastnn.errors import LOSS_SHAPES, ShapeError
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

REDUCTIONS = (
    "sum_over_batch_size",
    "sum",
    "mean",
    "mean_with_sample_weight",
    "none",
    None,
)
# Functions whose labels are class indices, which must not pass through a float dtype.
INDEX_FUNCTIONS: list[Callable[..., Any]] = []
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def as_tensor(x: Any, dtype: str) -> Tensor:
    """`x` as a tensor of `dtype`; a tensor that has it already is returned as it is."""
    x = ops.convert_to_tensor(x)
    if x.dtype == dtype:
        return x
    y = ops.cast(x, dtype)
    if (kept := getattr(x, "_logits", None)) is not None:
        # Probabilities in 16 bits are 0 or 1 too soon: the loss takes their logits.
        y._logits = (kept[0], ops.cast(kept[1], dtype))
    return y


def as_float(x: Any) -> Tensor:
    """`x` as a float tensor, integers in the default float dtype."""
    x = ops.convert_to_tensor(x)
    return x if x.dtype in _FLOATS else ops.cast(x, _config.floatx())


def pair(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Labels and predictions as tensors of one float dtype and one shape.

    Raises:
        ShapeError: when the shapes differ; nothing is broadcast.
    """
    y_pred = as_float(y_pred)
    y_true = as_tensor(y_true, y_pred.dtype)
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    if true_shape != pred_shape:
        raise ShapeError(
            LOSS_SHAPES.format(
                name=name,
                y_true=true_shape,
                y_pred=pred_shape,
                fix=_fix(true_shape, pred_shape),
            )
        )
    return y_true, y_pred


def same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Both with or without a last axis of size 1 that only one of them has.

    (n,) becomes (n, 1); of more axes, (..., 1) becomes (...). What else differs stays.
    """
    true_shape, pred_shape = tuple(y_true.shape), tuple(y_pred.shape)
    if pred_shape[:-1] == true_shape and pred_shape[-1:] == (1,):
        if len(true_shape) == 1:
            return ops.reshape(y_true, pred_shape), y_pred
        return y_true, ops.reshape(y_pred, true_shape)
    if true_shape[:-1] == pred_shape and true_shape[-1:] == (1,):
        y_pred, y_true = same_rank(y_pred, y_true)
    return y_true, y_pred


def _fix(true_shape: tuple[int, ...], pred_shape: tuple[int, ...]) -> str:
    if pred_shape == (*true_shape, 1):
        return "y = y[..., None]           # right: one column per output"
    if true_shape == (*pred_shape, 1):
        return "y = y[..., 0]              # right: no column, as in y_pred"
    if true_shape == pred_shape[:-1] or true_shape == (*pred_shape[:-1], 1):
        return (
            "to_categorical(y)          # right: one column per class, or use\n"
            '    loss="sparse_categorical_crossentropy"   # for integer labels'
        )
    return "The last layer's units must match the last axis of the labels."


def align_weights(name: str, weights: Tensor, values: Tensor) -> Tensor:
    """Sample weights reshaped so that they broadcast against `values`.

    Weights stand for the leading axes: one per instance, or per instance and time step.

    Raises:
        ShapeError: when an axis is neither 1 nor equal.
    """
    shape, target = tuple(weights.shape), tuple(values.shape)
    kept = shape
    while len(kept) > len(target) and kept[-1] == 1:
        kept = kept[:-1]
    padded = kept + (1,) * (len(target) - len(kept))
    fits = len(padded) == len(target) and all(
        w in (1, v) for w, v in zip(padded, target, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"[{name}] sample_weight of shape {shape} does not fit values of shape "
            f"{target}: give one weight per instance, {target[:1]}, or one per value."
        )
    return weights if padded == shape else ops.reshape(weights, padded)


def reduce_values(
    name: str,
    values: Tensor,
    sample_weight: Any = None,
    mask: Tensor | None = None,
    reduction: str | None = "sum_over_batch_size",
) -> Tensor:
    """Weighted values summed or averaged as `reduction` says.

    `"sum_over_batch_size"` (the same as `"mean"`) divides the weighted sum by the
    number of values, not by the sum of the weights; with a mask, by the number of
    values the mask keeps. `"mean_with_sample_weight"` divides by the sum of weights.
    """
    weights = None
    if sample_weight is not None:
        sample_weight = as_tensor(sample_weight, values.dtype)
    if not values.shape:
        values = _spread(values, sample_weight, mask)
    if sample_weight is not None:
        weights = align_weights(name, sample_weight, values)
    kept = None
    if mask is not None:
        kept = align_weights(name, ops.cast(mask, values.dtype), values)
        weights = kept if weights is None else weights * kept
    if weights is not None:
        values = values * weights
    if reduction in (None, "none") or not values.shape:
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        return _divide(total, ops.sum(weights))
    if kept is not None:
        return _divide(total, ops.sum(kept) * (_size(values) / max(1, _size(kept))))
    return total * (1.0 / max(1, _size(values)))


def _spread(value: Tensor, *parts: Tensor | None) -> Tensor:
    """One value of the whole batch (Dice, Tversky) at every place of weights and mask,
    as in Keras: their mean is then the value times the mean weight.
    """
    shapes = [tuple(part.shape) for part in parts if part is not None]
    rank = max((len(shape) for shape in shapes), default=0)
    padded = [shape + (1,) * (rank - len(shape)) for shape in shapes]
    return ops.broadcast_to(value, np.broadcast_shapes(*padded)) if rank else value


def _size(x: Tensor) -> int:
    return math.prod(x.shape)


def _divide(total: Tensor, count: Tensor) -> Tensor:
    """0 where nothing was counted."""
    nothing = ops.equal(count, 0.0)
    return ops.where(nothing, 0.0, total / ops.where(nothing, 1.0, count))


@export("keras.losses", "keras")
class Loss:
    """Base of losses: define `call(y_true, y_pred)`, one value per instance.

    Args:
        name: shown in logs and errors.
        reduction: `"sum_over_batch_size"`, `"sum"`, `"mean"`,
            `"mean_with_sample_weight"`, `"none"` or None, see `reduce_values`.
        dtype: dtype of the computation, default `floatx()`.
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: str | None = None,
    ) -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(
                f"[{type(self).__name__}] unknown reduction {reduction!r}; it must be "
                f"one of {', '.join(map(repr, REDUCTIONS))}."
            )
        self.name = name or auto_name(type(self).__name__)
        self.reduction = reduction
        self._dtype = dtype or _config.floatx()

    @property
    def dtype(self) -> str:
        """Dtype of the computation."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss.

        Args:
            y_true: labels, `(batch, ...)`, or a nested structure of such.
            y_pred: predictions, of the same form.
            sample_weight: weights of the instances, `(batch,)` or `(batch, ...)`.

        Places that the mask of `y_pred` leaves out (`layers.Masking`) do not count.

        Returns:
            A scalar, or one value per instance without reduction.
        """
        given = getattr(y_pred, "_keras_mask", None)
        y_pred = tree.map_structure(self._convert, y_pred)
        y_true = tree.map_structure(self._convert_labels, y_true)
        values = self.call(y_true, y_pred)
        if values is None:
            raise TypeError(
                f"[compute_loss] the loss '{self.name}' returned None: end it with "
                "`return` and one value per instance."
            )
        values = as_tensor(values, self._dtype)
        mask = self._mask(y_true, values)
        if given is not None:
            mask = given if mask is None else ops.logical_and(given, mask)
        return reduce_values(self.name, values, sample_weight, mask, self.reduction)

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        """One value per instance, `(batch, ...)`."""
        raise NotImplementedError(
            f"[{type(self).__name__}] must define call(y_true, y_pred)."
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Rebuilds the object from `get_config()`."""
        return cls(**config)

    def _convert(self, x: Any) -> Tensor:
        return as_tensor(x, self._dtype)

    # Labels that are class indices must not pass through a float dtype.
    _convert_labels = _convert

    def _mask(self, y_true: Any, values: Tensor) -> Tensor | None:
        """Which values count, or None for all."""
        return None


class FunctionLoss(Loss):
    """A loss whose `call` is a function of this package with options kept as fields."""

    _function: Callable[..., Tensor]
    _options: tuple[str, ...] = ()

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        options = {option: getattr(self, option) for option in self._options}
        return type(self)._function(y_true, y_pred, **options)

    def get_config(self) -> dict[str, Any]:
        options = {option: getattr(self, option) for option in self._options}
        return {**super().get_config(), **options}


class IndexLoss(FunctionLoss):
    """A loss whose labels are class indices and stay integers."""

    def _convert_labels(self, x: Any) -> Tensor:
        return ops.convert_to_tensor(x)


@export("keras.losses")
class LossFunctionWrapper(Loss):
    """A Loss made from any function `fn(y_true, y_pred, **kwargs)`.

    Args:
        fn: gives one value per instance.
        reduction, name, dtype: see `Loss`.
        **kwargs: passed to `fn` at each call.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Tensor:
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def _convert_labels(self, x: Any) -> Tensor:
        if any(self.fn is function for function in INDEX_FUNCTIONS):
            return ops.convert_to_tensor(x)
        return as_tensor(x, self._dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "fn": serialize_keras_object(self.fn),
            **serialize_keras_object(self._fn_kwargs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LossFunctionWrapper:
        return cls(**deserialize_keras_object(config))
