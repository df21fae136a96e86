# SPDX-License-Identifier: Apache-2.0
"""Penalties on weights: scalars added to the loss, never averaged over the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import ops
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    exported,
    resolve,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.regularizers"


def _factor(name: str, value: Any) -> float:
    number = float(value)
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"[{name}] must be a finite number >= 0, got {value!r}.")
    return number


@export(_MODULE, "keras")
class Regularizer:
    """Base of penalties: define `__call__(x)` and, to be saved, `get_config()`."""

    def __call__(self, x: Any) -> Any:
        """The penalty of weights `x`, a scalar."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object; subclasses with state override it."""
        raise NotImplementedError(
            f"[get_config] {type(self).__name__} does not define get_config(), so a "
            "model that uses it cannot be saved."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Rebuilds the object from `get_config()`."""
        return cls(**config)


@export(_MODULE, names=("l1_l2",))
class L1L2(Regularizer):
    """`l1 * sum(|x|) + l2 * sum(x**2)`.

    Args:
        l1, l2: factors >= 0; None counts as 0.
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        x = ops.convert_to_tensor(x)
        if self.l1 and self.l2:
            return ops.sum(ops.abs(x)) * self.l1 + ops.sum(ops.square(x)) * self.l2
        if self.l1:
            return ops.sum(ops.abs(x)) * self.l1
        return ops.sum(ops.square(x)) * self.l2

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@export(_MODULE, names=("l1",))
class L1(Regularizer):
    """`l1 * sum(|x|)`: drives weights to exact zeros.

    Args:
        l1: factor >= 0; None counts as 0.01.

    Example:
        >>> float(keras.regularizers.L1(0.5)(keras.ops.array([1.0, -2.0])))
        1.5
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = _factor("l1", 0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Tensor:
        return ops.sum(ops.abs(ops.convert_to_tensor(x))) * self.l1

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@export(_MODULE, names=("l2",))
class L2(Regularizer):
    """`l2 * sum(x**2)`: keeps weights small.

    Args:
        l2: factor >= 0; None counts as 0.01.

    Example:
        >>> float(keras.regularizers.L2(0.5)(keras.ops.array([1.0, 2.0])))
        2.5
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor("l2", 0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Tensor:
        return ops.sum(ops.square(ops.convert_to_tensor(x))) * self.l2

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@export(_MODULE, names=("orthogonal_regularizer",))
class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean |cosine| between pairs of rows (or columns).

    Args:
        factor: factor >= 0.
        mode: `"rows"` or `"columns"`: which vectors to push apart.

    Raises:
        ValueError: when called on weights that are not a matrix.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(f"[mode] must be 'rows' or 'columns', got {mode!r}.")
        self.factor = _factor("factor", factor)
        self.mode = mode

    def __call__(self, inputs: Any) -> Tensor:
        x = ops.convert_to_tensor(inputs)
        if len(x.shape) != 2:
            raise ValueError(f"[OrthogonalRegularizer] needs a matrix, got {x.shape}.")
        if self.mode == "columns":
            x = ops.transpose(x)
        size = x.shape[0]
        norm = ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True))
        x = x / ops.maximum(norm, 1e-12)
        cosines = ops.abs(ops.matmul(x, ops.transpose(x)))
        others = ops.convert_to_tensor(1.0 - np.eye(size), dtype=x.dtype)
        pairs = size * (size - 1.0) / 2.0
        return ops.sum(cosines * others) * (0.5 * self.factor / pairs)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1 = L1
l2 = L2
l1_l2 = L1L2
orthogonal_regularizer = OrthogonalRegularizer

_TABLE = exported(_MODULE)


def serialize(regularizer: Any) -> Any:
    """The config dict of a regularizer."""
    return serialize_keras_object(regularizer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer that `serialize` described."""
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Any:
    """A regularizer by name (`"l2"`), config, class or callable; None stays None."""
    return resolve(identifier, _TABLE, "regularizer")
