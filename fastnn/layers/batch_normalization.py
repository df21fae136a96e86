# SPDX-License-Identifier: Apache-2.0
"""Batch normalization (arXiv:1502.03167)."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from fastnn import config, ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.errors import ShapeError
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer
from fastnn.opset._dtypes import HALVES

Shape = tuple[int | None, ...]


def _follow(moving: Any, batch: Any, momentum: float) -> None:
    old = ops.cast(moving.value, batch.dtype)
    new = raw.moving_average(old, batch, momentum)
    moving.assign(ops.cast(new, moving.dtype))


def _axes(given: Any) -> Any:
    """One axis as a number; several as a list of them."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        axes = [int(axis) for axis in given]
        if len(axes) == 1:
            return axes[0]
        if not axes or len(set(axes)) < len(axes):
            raise ValueError(
                "[BatchNormalization] axis must be a number or a list of different "
                f"ones, received {given!r}."
            )
        return axes
    return int(given)


def _bounds(given: dict[str, float] | None) -> dict[str, float]:
    """The bounds of batch renormalization.

    Raises:
        ValueError: for unknown names, and for bounds that exclude each other.
    """
    bounds = {k: float(v) for k, v in (given or {}).items()}
    low, high = bounds.get("rmin", 0.0), bounds.get("rmax", float("inf"))
    unknown = set(bounds) - {"rmin", "rmax", "dmax"}
    if unknown or low > high or bounds.get("dmax", 0.0) < 0:
        raise ValueError(
            "[BatchNormalization] renorm_clipping may have 'rmin', 'rmax' >= 'rmin' "
            f"and 'dmax' >= 0; received {given!r}."
        )
    return bounds


@export("keras.layers")
class BatchNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta`, for each channel.

    While training, mean and (biased) variance are those of the batch over all axes but
    `axis`, and the moving statistics follow: `moving * momentum + batch * (1 -
    momentum)`. Otherwise, and always with `trainable=False`, the moving statistics are
    used and stay as they are.

    Args:
        axis: the axis of the channels, 1 for `channels_first` images. A list of axes
            has statistics for every place along them: [1, 2] for each pixel.
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
        renorm: batch renormalization (arXiv:1702.03275): while training, the result is
            corrected towards the one of moving statistics, `r * xhat + d`.
        renorm_clipping: bounds of the correction, `{"rmin": ., "rmax": ., "dmax": .}`.
        renorm_momentum: momentum of the statistics of the correction.
        synchronized: statistics over all replicas; there is one here, so only False.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Weights: gamma, beta, then moving_mean and moving_variance, which are not trained;
    with renorm then moving_stddev, renorm_mean and renorm_stddev.

    Raises:
        ValueError: for `synchronized=True`, and bounds that are none.

    Example:
        >>> layer = keras.layers.BatchNormalization(momentum=0.9)
        >>> x = np.array([[1.0], [3.0]])
        >>> layer(x, training=True).numpy().round(2).tolist()
        [[-1.0], [1.0]]
        >>> round(float(layer.moving_mean[0]), 4)  # 0.9 * 0 + 0.1 * 2
        0.2
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
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
        if synchronized:
            raise ValueError(
                "[BatchNormalization] synchronized=True needs replicas, of which there "
                "is one here: leave it False."
            )
        self.axis = _axes(axis)
        if renorm and isinstance(self.axis, list):
            raise ValueError(
                f"[BatchNormalization] renorm=True needs one axis, received {axis!r}."
            )
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
            renorm=bool(renorm),
            renorm_clipping=_bounds(renorm_clipping) if renorm else renorm_clipping,
            renorm_momentum=renorm_momentum,
            synchronized=False,
        )
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        sizes = {axis: _parts.known_size(self, input_shape, axis) for axis in axes}
        if len({axis % len(input_shape) for axis in axes}) < len(axes):
            raise ShapeError(
                f"[BatchNormalization] axis={axes} has an axis of the inputs "
                f"{format_shape(input_shape)} twice: name each once."
            )
        shape = tuple(sizes.values())
        if isinstance(self.axis, list):  # as wide as the inputs, as in Keras 2
            wide = [1] * len(input_shape)
            for axis, size in sizes.items():
                wide[axis] = size
            shape = tuple(wide)
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = _parts.add_weight(self, "gamma", shape, autocast=False)
        if self.center:
            self.beta = _parts.add_weight(self, "beta", shape, autocast=False)
        mean, variance = self.moving_mean_initializer, self.moving_variance_initializer
        self.moving_mean = self._statistic("moving_mean", shape, mean)
        self.moving_variance = self._statistic("moving_variance", shape, variance)
        if self.renorm:

            def deviation(shape: Any, dtype: Any = None) -> Any:
                return ops.sqrt(variance(shape, dtype=dtype))

            self.moving_stddev = self._statistic("moving_stddev", shape, deviation)
            self.renorm_mean = self._statistic("renorm_mean", shape, mean)
            self.renorm_stddev = self._statistic("renorm_stddev", shape, deviation)
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)

    def _statistic(self, name: str, shape: Any, initializer: Any) -> Any:
        return self.add_weight(
            shape, initializer, trainable=False, autocast=False, name=name
        )

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        # Sums of 16-bit floats are kept in float32, as the moving averages are.
        dtype = self.compute_dtype
        x = ops.cast(inputs, "float32" if dtype in HALVES else dtype)
        rank, axis = len(x.shape), self.axis
        if isinstance(axis, list):
            y = self._over_axes(x, [a % rank for a in axis], training, mask)
        else:
            y = self._normalized(x, axis % rank, training, mask)
        return ops.cast(y, self.compute_dtype)

    def _over_axes(
        self, x: Any, axes: list[int], training: bool | None, mask: Any
    ) -> Any:
        """With the axes as the last one, where every place is a channel."""
        if mask is not None:
            raise ShapeError(
                f"[BatchNormalization] layer '{self.name}' normalizes the axes {axes} "
                "and takes no mask: give one axis."
            )
        axes = sorted(axes)
        order = [i for i in range(len(x.shape)) if i not in axes] + axes
        moved = ops.transpose(x, order)
        kept = len(order) - len(axes)
        flat = ops.reshape(moved, (*moved.shape[:kept], prod(moved.shape[kept:])))
        y = self._normalized(flat, kept, training, None)
        back = [order.index(i) for i in range(len(order))]
        return ops.transpose(ops.reshape(y, moved.shape), back)

    def _normalized(self, x: Any, axis: int, training: bool | None, mask: Any) -> Any:
        size = (x.shape[axis],)

        def cast(value: Any) -> Any:
            if len(value.shape) > 1:
                value = ops.reshape(value, size)
            return ops.cast(value, x.dtype)

        gamma = ops.ones(size, x.dtype) if self.gamma is None else cast(self.gamma)
        beta = ops.zeros(size, x.dtype) if self.beta is None else cast(self.beta)
        moving = (self.moving_mean, self.moving_variance)
        if not (training and self.trainable):
            mean, variance = map(cast, moving)
            return raw.batch_norm_apply(
                x, mean, variance, gamma, beta, axis, self.epsilon
            )
        if self.renorm:
            gamma, beta = self._renormalized(x, axis, mask, gamma, beta)
        if mask is None:
            outputs, *batch = raw.batch_norm(x, gamma, beta, axis, self.epsilon)
        else:
            mean, variance = batch = self._moments(x, axis, mask)
            outputs = raw.batch_norm_apply(
                x, mean, variance, gamma, beta, axis, self.epsilon
            )
        if not self.renorm:
            for old, new in zip(moving, batch, strict=True):
                if len(old.shape) > 1:
                    new = ops.reshape(new, old.shape)
                _follow(old, new, self.momentum)
        return outputs

    def _moments(self, x: Any, axis: int, mask: Any) -> list[Any]:
        """Mean and variance over all axes but one, of what the mask keeps."""
        rank = len(x.shape)
        axes = tuple(i for i in range(rank) if i != axis)
        if mask is None:
            return list(ops.moments(x, axes))
        if len(mask.shape) != rank - 1:
            raise ShapeError(
                f"[BatchNormalization] layer '{self.name}': a mask has one axis less "
                f"than the inputs; received shapes {format_shape(mask.shape)} and "
                f"{format_shape(x.shape)}."
            )
        wide = ops.reshape(mask, (*mask.shape, 1))
        kept = ops.broadcast_to(ops.cast(wide, "bool"), x.shape)
        count = ops.sum(ops.cast(kept, x.dtype), axes, keepdims=True)
        count = ops.add(count, config.epsilon())
        mean = ops.divide(ops.sum(ops.where(kept, x, 0), axes, keepdims=True), count)
        squares = ops.square(ops.where(kept, ops.subtract(x, mean), 0))
        variance = ops.divide(ops.sum(squares, axes, keepdims=True), count)
        return [ops.reshape(v, (x.shape[axis],)) for v in (mean, variance)]

    def _renormalized(
        self, x: Any, axis: int, mask: Any, gamma: Any, beta: Any
    ) -> tuple[Any, Any]:
        """Gamma and beta with the correction in them: (xhat r + d) gamma + beta.

        The statistics of the correction follow the batch.
        """
        mean, variance = map(ops.stop_gradient, self._moments(x, axis, mask))
        deviation = ops.sqrt(ops.add(variance, self.epsilon))
        known = ops.maximum(self.renorm_stddev, self.epsilon**0.5)
        r = ops.divide(deviation, known)
        d = ops.divide(ops.subtract(mean, self.renorm_mean), known)
        bounds = self.renorm_clipping
        if "rmin" in bounds:
            r = ops.maximum(r, bounds["rmin"])
        if "rmax" in bounds:
            r = ops.minimum(r, bounds["rmax"])
        if "dmax" in bounds:
            d = ops.clip(d, -bounds["dmax"], bounds["dmax"])
        r, d = ops.stop_gradient(r), ops.stop_gradient(d)
        _follow(self.renorm_mean, mean, self.renorm_momentum)
        _follow(self.renorm_stddev, deviation, self.renorm_momentum)
        _follow(self.moving_mean, mean, self.momentum)
        _follow(self.moving_stddev, deviation, self.momentum)
        square = ops.square(self.moving_stddev.value)
        self.moving_variance.assign(ops.relu(ops.subtract(square, self.epsilon)))
        return ops.multiply(r, gamma), ops.add(ops.multiply(d, gamma), beta)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        rank = len(input_shape)
        if not all(-rank <= axis < rank for axis in axes):
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
