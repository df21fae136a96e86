# SPDX-License-Identifier: Apache-2.0
"""Projections of weights, applied by the optimizer after each update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastnn import config, ops
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    exported,
    resolve,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.constraints"

Axis = int | Sequence[int]


def _norms(w: Tensor, axis: Axis) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


@export(_MODULE)
class Constraint:
    """Base of projections: define `__call__(w)`, whose result replaces the weights."""

    def __call__(self, w: Any) -> Any:
        """Weights to use instead of `w`, with the same shape and dtype."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object; subclasses with state override it."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """Rebuilds the object from `get_config()`."""
        return cls(**config)


@export(_MODULE, names=("max_norm",))
class MaxNorm(Constraint):
    """Scales weight vectors longer than `max_value` down to it (Srivastava, 2014).

    Args:
        max_value: largest norm.
        axis: axes a vector runs along: 0 for the inputs of each unit of a Dense
            kernel, `[0, 1, 2]` for the filters of a Conv2D kernel.

    Example:
        >>> w = keras.ops.array([[6.0], [8.0]])
        >>> keras.constraints.MaxNorm(5.0)(w).numpy().round(4).tolist()
        [[3.0], [4.0]]
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        wanted = ops.clip(norms, 0.0, float(self.max_value))
        return w * (wanted / (norms + config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@export(_MODULE, names=("non_neg", "nonneg"))
class NonNeg(Constraint):
    """Sets negative weights to 0.

    Example:
        >>> keras.constraints.NonNeg()(keras.ops.array([-1.0, 2.0])).numpy().tolist()
        [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Tensor:
        return ops.maximum(ops.convert_to_tensor(w), 0.0)


@export(_MODULE, names=("unit_norm",))
class UnitNorm(Constraint):
    """Scales weight vectors to norm 1.

    Args:
        axis: axes a vector runs along, see `MaxNorm`.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        return w / (_norms(w, self.axis) + config.epsilon())

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@export(_MODULE, names=("min_max_norm",))
class MinMaxNorm(Constraint):
    """Moves the norm of weight vectors towards `[min_value, max_value]`.

    Args:
        min_value, max_value: range of norms.
        rate: 1 enforces the range at once, less goes that part of the way each step.
        axis: axes a vector runs along, see `MaxNorm`.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        inside = ops.clip(norms, float(self.min_value), float(self.max_value))
        wanted = inside * self.rate + norms * (1.0 - self.rate)
        return w * (wanted / (norms + config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = UnitNorm
min_max_norm = MinMaxNorm

_TABLE = exported(_MODULE)


def serialize(constraint: Any) -> Any:
    """The config dict of a constraint."""
    return serialize_keras_object(constraint)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint that `serialize` described."""
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Any:
    """A constraint by name (`"non_neg"`), config, class or callable; None stays."""
    return resolve(identifier, _TABLE, "constraint")
