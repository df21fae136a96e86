# SPDX-License-Identifier: Apache-2.0
"""Normalization of each sample: layer, group, RMS and unit normalization."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.errors import ShapeError
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer
from fastnn.opset._dtypes import HALVES

Shape = tuple[int | None, ...]


class NormalizationLayer(Layer):
    """Keeps the shape of its inputs; `axis` names axes that they must have."""

    axis: Any

    def _keep_axis(self, axis: Any) -> None:
        listed = isinstance(axis, (list, tuple))
        if not all(isinstance(a, int) for a in (axis if listed else [axis])):
            raise TypeError(
                f"[{type(self).__name__}] axis must be an integer or a list of them; "
                f"received {axis!r}."
            )
        self.axis = list(axis) if listed else axis
        self.supports_masking = True

    def _axes(self) -> list[int]:
        return self.axis if isinstance(self.axis, list) else [self.axis]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rank = len(input_shape)
        if not all(-rank <= axis < rank for axis in self._axes()):
            raise ShapeError(
                f"[{type(self).__name__}] layer '{self.name}' normalizes axis "
                f"{self.axis}, which shape {format_shape(input_shape)} does not have."
            )
        return input_shape

    def _sizes(self, shape: Shape) -> tuple[int, ...]:
        """Sizes of the normalized axes."""
        self.compute_output_shape(shape)
        return tuple(_parts.known_size(self, shape, axis) for axis in self._axes())


class ScaledNormalization(NormalizationLayer):
    """A normalization with an optional gamma and beta."""

    def _keep_scales(
        self, epsilon: float, center: bool, scale: bool, **parts: Any
    ) -> None:
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        _parts.keep(self, **parts)

    def _add_scales(self, shape: tuple[int, ...], scale: bool, center: bool) -> None:
        self.gamma = self.beta = None
        if scale:
            self.gamma = _parts.add_weight(self, "gamma", shape, autocast=False)
        if center:
            self.beta = _parts.add_weight(self, "beta", shape, autocast=False)

    def _wide(self, inputs: Any) -> Any:
        """Inputs as they are computed on.

        16-bit floats in float32: the gradient in the inputs is a small difference of
        large terms, of which rounded statistics leave little (of bfloat16 in groups
        with a mean of 3 deviations it was 85 % off, now 0.1 %).
        """
        dtype = self.compute_dtype
        return ops.cast(inputs, "float32" if dtype in HALVES else dtype)

    def get_config(self) -> dict[str, Any]:
        names = (
            "axis epsilon center scale beta_initializer gamma_initializer "
            "beta_regularizer gamma_regularizer beta_constraint gamma_constraint"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}


@export("keras.layers")
class LayerNormalization(ScaledNormalization):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` (arXiv:1607.06450).

    Mean and (biased) variance are those of each sample over `axis`.

    Args:
        axis: the normalized axes, an integer or a list.
        epsilon: added to the variance.
        center: whether beta, of the shape of the normalized axes, is added.
        scale: whether gamma, of the same shape, multiplies.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        beta_regularizer: adds a loss computed from beta.
        gamma_regularizer: adds a loss computed from gamma.
        beta_constraint: replaces beta after each update.
        gamma_constraint: replaces gamma after each update.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`; Keras's `rms_scaling`,
            which divides by the deviation without subtracting the mean and has no beta.

    Raises:
        TypeError: for an axis that is no integer.
        ShapeError: for an axis that the inputs do not have.

    Example:
        >>> layer = keras.layers.LayerNormalization()
        >>> layer(np.array([[1.0, 3.0]])).numpy().round(2).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        self.rms_scaling = rms_scaling
        self._keep_axis(axis)
        self._keep_scales(
            epsilon,
            center,
            scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def _axes(self) -> list[int]:
        return sorted(super()._axes())

    def build(self, input_shape: Shape) -> None:
        scale = self.scale or self.rms_scaling
        center = self.center and not self.rms_scaling
        self._add_scales(self._sizes(input_shape), scale, center)

    def call(self, inputs: Any) -> Any:
        y = ops.layer_normalization(
            self._wide(inputs),
            self.gamma,
            self.beta,
            self._axes(),
            self.epsilon,
            rms_scaling=self.rms_scaling,
        )
        return ops.cast(y, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms_scaling": self.rms_scaling}


@export("keras.layers")
class GroupNormalization(ScaledNormalization):
    """Normalization of the channels in groups (arXiv:1803.08494).

    Mean and (biased) variance are those of each sample over all axes but the batch and
    the channels of one group.

    Args:
        groups: number of groups, a divisor of the number of channels; -1 gives each
            channel a group of its own (instance normalization).
        axis: the axis of the channels.
        epsilon: added to the variance.
        center: whether beta, (channels,), is added.
        scale: whether gamma, (channels,), multiplies.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        beta_regularizer: adds a loss computed from beta.
        gamma_regularizer: adds a loss computed from gamma.
        beta_constraint: replaces beta after each update.
        gamma_constraint: replaces gamma after each update.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for groups that are no positive integer or -1.
        ShapeError: when they do not divide the channels.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if groups != -1:
            groups = _parts.positive("GroupNormalization", "groups", groups)
        self.groups = groups
        self._keep_axis(axis)
        self._keep_scales(
            epsilon,
            center,
            scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )

    def build(self, input_shape: Shape) -> None:
        (channels,) = self._sizes(input_shape)
        if channels % self._count(channels):
            raise ShapeError(
                f"[GroupNormalization] layer '{self.name}': {channels} channels are no "
                f"multiple of groups={self.groups}; received shape "
                f"{format_shape(input_shape)}."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self._add_scales((channels,), self.scale, self.center)

    def _count(self, channels: int) -> int:
        return channels if self.groups == -1 else self.groups

    def call(self, inputs: Any) -> Any:
        x = self._wide(inputs)
        rank = len(x.shape)
        axis = self.axis % rank
        order = (*(i for i in range(rank) if i != axis), axis)
        x = ops.transpose(x, order)
        size = x.shape[-1:]
        gamma = ops.ones(size, x.dtype) if self.gamma is None else self.gamma
        beta = ops.zeros(size, x.dtype) if self.beta is None else self.beta
        y = raw.group_norm(x, gamma, beta, self._count(size[0]), self.epsilon)[0]
        y = ops.transpose(y, sorted(range(rank), key=order.__getitem__))
        return ops.cast(y, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


@export("keras.layers")
class RMSNormalization(NormalizationLayer):
    """`scale * x / sqrt(mean(x^2) + epsilon)` (arXiv:1910.07467).

    Args:
        axis: the normalized axes, an integer or a list.
        epsilon: added to the mean of the squares.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Weights: scale, of the shape of the normalized axes, ones at first.
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep_axis(axis)
        self.epsilon = float(epsilon)
        self.supports_masking = False  # as in Keras: a mask ends here, with a warning

    def _axes(self) -> list[int]:
        return sorted(super()._axes())

    def build(self, input_shape: Shape) -> None:
        self.scale = self.add_weight(self._sizes(input_shape), "ones", name="scale")

    def call(self, x: Any) -> Any:
        x = ops.cast(x, self.compute_dtype)
        return ops.rms_normalization(x, self.scale, self._axes(), self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "axis epsilon")}


@export("keras.layers")
class UnitNormalization(NormalizationLayer):
    """Inputs divided by their Euclidean norm along `axis`, 1e-12 at least.

    Args:
        axis: the axes of the norm, an integer or a list.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep_axis(axis)
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, self.compute_dtype)
        return ops.normalize(x, axis=self._axes(), order=2, epsilon=1e-12)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "axis")}


__all__ = [
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
]
