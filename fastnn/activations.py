# SPDX-License-Identifier: Apache-2.0
"""Activation functions by name: elementwise (softmax and its kin along an axis)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import TYPE_CHECKING, Any

from fastnn import ops
from fastnn._registry import exported_name
from fastnn.errors import warn_renamed
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    exported,
    resolve,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.activations"


@export(_MODULE)
def linear(x: Any) -> Any:
    """`x` itself."""
    return x


@export(_MODULE)
def relu(
    x: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """`max(x, 0)`, or with a leak, a ceiling and a threshold.

    `negative_slope * (x - threshold)` below `threshold`, `x` from there on, and
    `max_value` where `x` exceeds it.
    """
    x = ops.convert_to_tensor(x)
    if threshold == 0.0 and max_value is None:
        if negative_slope == 0.0:
            return ops.relu(x)
        return ops.leaky_relu(x, negative_slope)
    positive = x if max_value is None else ops.minimum(x, max_value)
    if negative_slope == 0.0 and threshold == 0.0:
        return ops.relu(positive)
    negative = (x - threshold) * negative_slope if negative_slope else 0.0
    above = ops.greater(x, threshold) if threshold else ops.greater_equal(x, 0.0)
    return ops.where(above, positive, negative)


@export(_MODULE)
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """`x` for `x >= 0`, `negative_slope * x` below (Maas et al., 2013)."""
    return ops.leaky_relu(ops.convert_to_tensor(x), negative_slope)


@export(_MODULE)
def relu6(x: Any) -> Tensor:
    """`min(max(x, 0), 6)`."""
    return ops.relu6(x)


@export(_MODULE)
def softmax(x: Any, axis: int = -1) -> Tensor:
    """`exp(x) / sum(exp(x))` along `axis`.

    The result remembers `x`, so that a cross-entropy after it is computed from the
    logits, which neither overflows nor loses digits.
    """
    return ops.softmax(x, axis)


@export(_MODULE)
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """`x - log(sum(exp(x)))` along `axis`."""
    return ops.log_softmax(ops.convert_to_tensor(x), axis)


@export(_MODULE)
def sigmoid(x: Any) -> Tensor:
    """`1 / (1 + exp(-x))`; the result remembers `x`, as `softmax` does."""
    return ops.sigmoid(x)


@export(_MODULE)
def tanh(x: Any) -> Tensor:
    """`(exp(x) - exp(-x)) / (exp(x) + exp(-x))`."""
    return ops.tanh(ops.convert_to_tensor(x))


@export(_MODULE)
def softplus(x: Any) -> Tensor:
    """`log(1 + exp(x))`, computed without overflow."""
    return ops.softplus(ops.convert_to_tensor(x))


@export(_MODULE)
def softsign(x: Any) -> Tensor:
    """`x / (1 + |x|)`."""
    return ops.softsign(ops.convert_to_tensor(x))


@export(_MODULE)
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """`x` for `x > 0`, `alpha * (exp(x) - 1)` below (Clevert et al., 2015)."""
    return ops.elu(ops.convert_to_tensor(x), alpha)


@export(_MODULE)
def selu(x: Any) -> Tensor:
    """`1.05070098 * elu(x, 1.67326324)` (Klambauer et al., 2017).

    A plain stack of dense layers with `lecun_normal` kernels and standardised inputs
    keeps mean 0 and deviation 1 under it.
    """
    return ops.selu(ops.convert_to_tensor(x))


@export(_MODULE)
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """`max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))` (Barron, 2017)."""
    return ops.celu(x, alpha)


@export(_MODULE, names=("swish",))
def silu(x: Any) -> Tensor:
    """`x * sigmoid(x)`, also called swish (Ramachandran et al., 2017)."""
    return ops.silu(ops.convert_to_tensor(x))


@export(_MODULE)
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """`x * P(Z <= x)` for a standard normal `Z` (Hendrycks and Gimpel, 2016).

    Args:
        x: input.
        approximate: use `0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`.
    """
    return ops.gelu(ops.convert_to_tensor(x), approximate)


@export(_MODULE)
def glu(x: Any, axis: int = -1) -> Tensor:
    """`a * sigmoid(b)`, where `a` and `b` are the halves of `x` along `axis`.

    Raises:
        ValueError: when the size of `axis` is odd.
    """
    x = ops.convert_to_tensor(x)
    size = x.shape[axis]
    if size % 2:
        raise ValueError(f"[glu] axis {axis} of shape {x.shape} must have even size.")
    before = (slice(None),) * (axis % len(x.shape))
    return x[(*before, slice(0, size // 2))] * ops.sigmoid(
        x[(*before, slice(size // 2, size))]
    )


@export(_MODULE)
def exponential(x: Any) -> Tensor:
    """`exp(x)`."""
    return ops.exp(ops.convert_to_tensor(x))


@export(_MODULE)
def hard_sigmoid(x: Any) -> Tensor:
    """`relu6(x + 3) / 6`, a piecewise linear sigmoid."""
    return ops.hard_sigmoid(x)


@export(_MODULE, names=("hard_swish",))
def hard_silu(x: Any) -> Tensor:
    """`x * hard_sigmoid(x)` (Howard et al., 2019)."""
    return ops.hard_silu(x)


@export(_MODULE)
def hard_tanh(x: Any) -> Tensor:
    """`x` clipped to `[-1, 1]`."""
    return ops.clip(ops.convert_to_tensor(x), -1.0, 1.0)


@export(_MODULE)
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """`x` where `|x| > threshold`, else 0."""
    x = ops.convert_to_tensor(x)
    return ops.where(ops.greater(ops.abs(x), threshold), x, 0.0)


@export(_MODULE)
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """`x` moved towards 0 by `threshold`, and 0 where it would cross it."""
    x = ops.convert_to_tensor(x)
    return ops.sign(x) * ops.relu(ops.abs(x) - threshold)


@export(_MODULE)
def tanh_shrink(x: Any) -> Tensor:
    """`x - tanh(x)`."""
    x = ops.convert_to_tensor(x)
    return x - ops.tanh(x)


@export(_MODULE)
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """`x` where `x > threshold`, else `default_value`."""
    x = ops.convert_to_tensor(x)
    return ops.where(ops.greater(x, threshold), x, default_value)


@export(_MODULE)
def squareplus(x: Any, b: float = 4) -> Tensor:
    """`(x + sqrt(x**2 + b)) / 2`, a softplus without exponentials."""
    x = ops.convert_to_tensor(x)
    return (x + ops.sqrt(ops.square(x) + float(b))) * 0.5


@export(_MODULE)
def sparse_plus(x: Any) -> Tensor:
    """0 below -1, `(x + 1)**2 / 4` up to 1, `x` above."""
    x = ops.convert_to_tensor(x)
    middle = ops.square(x + 1.0) * 0.25
    upper = ops.where(ops.less(x, 1.0), middle, x)
    return ops.where(ops.less_equal(x, -1.0), 0.0, upper)


@export(_MODULE)
def sparse_sigmoid(x: Any) -> Tensor:
    """`(x + 1) / 2` clipped to `[0, 1]`."""
    return ops.clip((ops.convert_to_tensor(x) + 1.0) * 0.5, 0.0, 1.0)


@export(_MODULE)
def log_sigmoid(x: Any) -> Tensor:
    """`log(sigmoid(x))`, computed without underflow."""
    return ops.log_sigmoid(x)


@export(_MODULE)
def mish(x: Any) -> Tensor:
    """`x * tanh(softplus(x))` (Misra, 2019)."""
    return ops.mish(x)


@export(_MODULE)
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    """Euclidean projection of `x` on the simplex (Martins and Astudillo, 2016)."""
    return ops.sparsemax(x, axis)


swish, hard_swish = silu, hard_silu

_TABLE = exported(_MODULE)


def serialize(activation: Any) -> str | dict[str, Any]:
    """The name of an activation of this module or its like in fastnn.ops (`ops.relu`),
    else the config dict.
    """
    if isinstance(activation, FunctionType):
        module, name = exported_name(activation) or ("", "")
        if module == _MODULE:
            return name
    name = getattr(activation, "__name__", "")
    if name in _TABLE and getattr(ops, name, None) is activation:
        return name
    return serialize_keras_object(activation)


def deserialize(
    config: Any, custom_objects: Mapping[str, Any] | None = None
) -> Callable[..., Any]:
    """The function or object that `serialize` described."""
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Callable[..., Any]:
    """An activation by name, config or callable; None is `linear`."""
    return linear if identifier is None else resolve(identifier, _TABLE, "activation")


def __getattr__(name: str) -> Any:
    if name != "Activation":
        raise AttributeError(f"module 'fastnn.activations' has no attribute {name!r}")
    from importlib import import_module  # an old name for what stands further up

    warn_renamed("keras.activations.Activation", "keras.layers.Activation")
    return import_module("fastnn.layers").Activation
