# SPDX-License-Identifier: Apache-2.0
"""Activation functions as layers."""

from __future__ import annotations

from typing import Any

from fastnn import activations, constraints, initializers, ops, random, regularizers
from fastnn._registry import export
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer


class _Elementwise(Layer):
    """Keeps the shape of its input."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape


def _not_negative(layer: str, argument: str, value: Any) -> float:
    if value is None or float(value) < 0:
        raise ValueError(f"[{layer}] {argument} must be >= 0, received {value!r}.")
    return float(value)


@export("keras.layers")
class Activation(_Elementwise):
    """Applies a function to its inputs.

    Args:
        activation: name, function or layer, `"relu"`.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Example:
        >>> keras.layers.Activation("relu")(np.array([-1.0, 2.0])).numpy().tolist()
        [0.0, 2.0]
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        function = activations.serialize(self.activation)
        return {**super().get_config(), "activation": function}


@export("keras.layers")
class ReLU(_Elementwise):
    """`min(x, max_value)` above a threshold, a line through it below.

    The line is `negative_slope * (x - threshold)`.

    Args:
        max_value: largest output; None for no limit.
        negative_slope: slope below the threshold.
        threshold: where the slope changes.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = (
            None if max_value is None else _not_negative("ReLU", "max_value", max_value)
        )
        self.negative_slope = _not_negative("ReLU", "negative_slope", negative_slope)
        self.threshold = _not_negative("ReLU", "threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


@export("keras.layers")
class LeakyReLU(_Elementwise):
    """`x` where positive, `negative_slope * x` elsewhere.

    Args:
        negative_slope: slope below zero.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`; `alpha`, the old name of
            `negative_slope`.

    Example:
        >>> keras.layers.LeakyReLU(0.5)(np.array([-1.0, 2.0])).numpy().tolist()
        [-0.5, 2.0]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            import warnings

            negative_slope = kwargs.pop("alpha")
            warnings.warn(
                "[LeakyReLU] `alpha` is the old name of `negative_slope`: write "
                f"LeakyReLU(negative_slope={negative_slope}).",
                FutureWarning,
                stacklevel=2,
            )
        super().__init__(**kwargs)
        self.negative_slope = _not_negative(
            "LeakyReLU", "negative_slope", negative_slope
        )

    def call(self, inputs: Any) -> Any:
        return ops.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


@export("keras.layers")
class PReLU(Layer):
    """`x` where positive, `alpha * x` elsewhere, with a trained alpha per feature.

    Args:
        alpha_initializer: of alpha, of the inputs' shape without the batch.
        alpha_regularizer: adds a loss computed from alpha.
        alpha_constraint: replaces alpha after each update.
        shared_axes: axes (counted from 1) along which alpha is one number.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        if shared_axes is not None and not isinstance(shared_axes, (list, tuple)):
            shared_axes = [shared_axes]
        self.shared_axes = None if shared_axes is None else list(shared_axes)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape: list[Any] = list(input_shape[1:])
        for axis in self.shared_axes or []:
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            shape,
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )
        own_axes = {
            axis: size
            for axis, size in enumerate(input_shape)
            if axis and axis not in (self.shared_axes or [])
        }
        self.input_spec = InputSpec(ndim=len(input_shape), axes=own_axes)

    def call(self, inputs: Any) -> Any:
        below = ops.multiply(self.alpha, ops.relu(ops.negative(inputs)))
        return ops.subtract(ops.relu(inputs), below)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


@export("keras.layers")
class RReLU(_Elementwise):
    """`x` where positive, `slope * x` elsewhere, with random slopes while training.

    Slopes are uniform in [lower, upper), one per element; outside training all are
    (lower + upper) / 2 (Xu et al., 2015, arXiv:1505.00853). Keras has no such layer.

    Args:
        lower: smallest slope below zero.
        upper: largest slope below zero.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: unless 0 <= lower <= upper.
    """

    def __init__(
        self,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= lower <= upper:
            raise ValueError(
                f"[RReLU] slopes must satisfy 0 <= lower <= upper; received lower="
                f"{lower!r} and upper={upper!r}."
            )
        self.lower = float(lower)
        self.upper = float(upper)
        self.seed = seed
        self.seed_generator = random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return ops.leaky_relu(inputs, (self.lower + self.upper) / 2)
        slopes = random.uniform(
            inputs.shape, self.lower, self.upper, inputs.dtype, self.seed_generator
        )
        below = ops.multiply(slopes, ops.relu(ops.negative(inputs)))
        return ops.subtract(ops.relu(inputs), below)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "lower": self.lower,
            "upper": self.upper,
            "seed": self.seed,
        }


@export("keras.layers")
class ELU(_Elementwise):
    """`x` where positive, `alpha * (exp(x) - 1)` elsewhere.

    Args:
        alpha: minus the limit at minus infinity.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = float(alpha)

    def call(self, inputs: Any) -> Any:
        return ops.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@export("keras.layers")
class Softmax(_Elementwise):
    """`exp(x) / sum(exp(x))` along an axis; masked places get probability zero, also
    where a whole axis is masked.

    Args:
        axis: axis, or axes, that sum to one.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(
        self, axis: int | list[int] | tuple[int, ...] = -1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.axis = list(axis) if isinstance(axis, (list, tuple)) else int(axis)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return self._shares(inputs)
        # The most negative float32 adds to finite logits without overflow to -inf.
        floor = -3.4e38 / 2
        mask = ops.cast(mask, "bool")
        return ops.where(mask, self._shares(ops.where(mask, inputs, floor)), 0)

    def _shares(self, inputs: Any) -> Any:
        if isinstance(self.axis, int):
            return ops.softmax(inputs, axis=self.axis)
        shifted = ops.subtract(inputs, ops.max(inputs, axis=self.axis, keepdims=True))
        weights = ops.exp(shifted)
        return ops.divide(weights, ops.sum(weights, axis=self.axis, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
