# SPDX-License-Identifier: Apache-2.0
"""Batch normalization (arXiv:1502.03167)."""

from __future__ import annotations

from typing import Any

from fastnn import ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.errors import ShapeError
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]


@export("keras.layers")
class BatchNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, for each channel.

    While training, mean and (biased) variance are those of the batch over all axes but
    `axis`, and the moving statistics follow: `moving * momentum + batch * (1 -
    momentum)`. Otherwise, and always with `trainable=False`, the moving statistics are
    used and stay as they are.

    Args:
        axis: the axis of the channels, 1 for `channels_first` images.
        momentum: share that the moving statistics keep of themselves.
        epsilon: added to the variance.
        center: whether beta is added.
        scale: whether gamma multiplies.
        beta_initializer: of beta.
        gamma_initializer: of gamma.
        moving_mean_initializer: of the moving mean.
        moving_variance_initializer: of the moving variance.
        beta_regularizer: adds a loss computed from beta.
        gamma_regularizer: adds a loss computed from gamma.
        beta_constraint: replaces beta after each update.
        gamma_constraint: replaces gamma after each update.
        renorm: batch renormalization; not available.
        renorm_clipping: of batch renormalization.
        renorm_momentum: of batch renormalization.
        synchronized: statistics over all replicas; there is one here, so only False.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Weights: gamma, beta, then moving_mean and moving_variance, which are not trained.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for option, value in (("synchronized", synchronized), ("renorm", renorm)):
            if value:
                raise ValueError(
                    f"[BatchNormalization] {option}={value!r} is not supported: leave "
                    "it False."
                )
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        _parts.keep(
            self,
            center=bool(center),
            scale=bool(scale),
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            moving_mean_initializer=moving_mean_initializer,
            moving_variance_initializer=moving_variance_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            renorm=False,
            renorm_clipping=renorm_clipping,
            renorm_momentum=renorm_momentum,
            synchronized=False,
        )
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        channels = _parts.known_size(self, input_shape, self.axis)
        shape = (channels,)
        self.gamma = _parts.add_weight(self, "gamma", shape) if self.scale else None
        self.beta = _parts.add_weight(self, "beta", shape) if self.center else None
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape,
            self.moving_variance_initializer,
            trainable=False,
            name="moving_variance",
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = ops.cast(inputs, self.compute_dtype)
        axis = self.axis % len(x.shape)
        size = (x.shape[axis],)
        gamma = ops.ones(size, x.dtype) if self.gamma is None else self.gamma
        beta = ops.zeros(size, x.dtype) if self.beta is None else self.beta
        moving = (self.moving_mean, self.moving_variance)
        if not (training and self.trainable):
            return raw.batch_norm_apply(x, *moving, gamma, beta, axis, self.epsilon)
        outputs, *batch = raw.batch_norm(x, gamma, beta, axis, self.epsilon)
        for old, new in zip(moving, batch, strict=True):
            old.assign(raw.moving_average(old.value, new, self.momentum))
        return outputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ShapeError(
                f"[BatchNormalization] layer '{self.name}' normalizes axis {self.axis},"
                f" which shape {format_shape(input_shape)} does not have."
            )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        names = (
            "axis momentum epsilon center scale beta_initializer gamma_initializer "
            "moving_mean_initializer moving_variance_initializer beta_regularizer "
            "gamma_regularizer beta_constraint gamma_constraint synchronized renorm "
            "renorm_clipping renorm_momentum"
        )
        return {**super().get_config(), **_parts.config_of(self, names)}
