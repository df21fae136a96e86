# SPDX-License-Identifier: Apache-2.0
"""Layers that scale a model's inputs by fixed numbers."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn import config, ops
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _parts
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer
from fastnn.serialization import deserialize_keras_object, serialize_keras_object

Shape = tuple[int | None, ...]


@export("keras.layers")
class Rescaling(Layer):
    """`inputs * scale + offset`, with integers cast to the layer's dtype first.

    Args:
        scale: a number, or one per channel: `1 / 255`.
        offset: a number, or one per channel.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Example:
        >>> keras.layers.Rescaling(1 / 255)(np.array([0, 255])).numpy().tolist()
        [0.0, 1.0]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, self.compute_dtype)
        scale, offset = (
            np.asarray(v, self.compute_dtype) for v in (self.scale, self.offset)
        )
        return ops.add(ops.multiply(x, scale), offset)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        values = {"scale": self.scale, "offset": self.offset}
        return {**super().get_config(), **serialize_keras_object(values)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Rescaling:
        config = dict(config)
        for key in ("scale", "offset"):
            config[key] = deserialize_keras_object(config[key])
        return cls(**config)


def _numbers(value: Any) -> Any:
    return None if value is None else np.asarray(value).tolist()


@export("keras.layers")
class Normalization(Layer):
    """`(inputs - mean) / max(sqrt(variance), epsilon)` with fixed statistics.

    The statistics are given, or learned from data by `adapt`; 0 and 1 until then.

    Args:
        axis: the axes that have statistics of their own, an integer or a tuple: by
            default every feature (the last axis). None shares one mean and variance.
        mean: the mean, a number or an array over `axis`; None to learn it.
        variance: the variance, given with the mean.
        invert: compute the inputs from normalized ones instead.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Weights (unless given): mean, variance and count, none of them trained.

    Raises:
        ValueError: for a mean without a variance, or of another shape.
        ShapeError: for axes that the inputs do not have.

    Example:
        >>> layer = keras.layers.Normalization()
        >>> layer.adapt(np.array([[1.0], [3.0]]))
        >>> layer(np.array([[5.0]])).numpy().tolist()
        [[3.0]]
    """

    def __init__(
        self,
        axis: Any = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        listed = () if axis is None else axis
        self.axis = (axis,) if isinstance(axis, int) else tuple(listed)
        self.invert = bool(invert)
        self.input_mean = mean
        self.input_variance = variance
        self.supports_masking = True
        shapes = np.shape(mean), np.shape(variance)
        if (mean is None) != (variance is None) or shapes[0] != shapes[1]:
            raise ValueError(
                "[Normalization] mean and variance must be given together and have one "
                f"shape; received mean={mean!r} and variance={variance!r}."
            )
        if len(shapes[0]) > len(self.axis):
            raise ValueError(
                f"[Normalization] a mean of shape {shapes[0]} has more axes than axis="
                f"{self.axis}."
            )

    def build(self, input_shape: Shape) -> None:
        rank = len(input_shape)
        if not all(-rank <= axis < rank for axis in self.axis):
            raise ShapeError(
                f"[Normalization] layer '{self.name}' keeps axes {self.axis}, which "
                f"shape {format_shape(input_shape)} does not have."
            )
        self._kept = tuple(sorted(axis % rank for axis in self.axis))
        sizes = tuple(_parts.known_size(self, input_shape, a) for a in self._kept)
        self._wide = tuple(
            sizes[self._kept.index(a)] if a in self._kept else 1 for a in range(rank)
        )
        axes = dict(zip(self._kept, sizes, strict=True))
        self.input_spec = InputSpec(ndim=rank, axes=axes)
        if self.input_mean is None:
            add = self.add_weight
            self.adapt_mean = add(sizes, "zeros", trainable=False, name="mean")
            self.adapt_variance = add(sizes, "ones", trainable=False, name="variance")
            self.count = add((), "zeros", "int32", trainable=False, name="count")

    def adapt(self, data: Any) -> None:
        """Sets mean and variance to those of the data.

        Args:
            data: an array, or batches: a dataset or another iterable of arrays (or of
                tuples that begin with one).

        Raises:
            ValueError: without data, or when mean and variance were given.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"[Normalization.adapt] layer '{self.name}' was given its mean and "
                "variance: leave them out to learn them."
            )
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in [data] if hasattr(data, "shape") else data:
            first = batch[0] if isinstance(batch, (tuple, list)) else batch
            x = np.asarray(first, "float64")
            if not self.built:
                self.build((None, *x.shape[1:]))
            axes = tuple(a for a in range(x.ndim) if a not in self._kept)
            n = prod(x.shape[a] for a in axes)
            if n == 0:
                continue
            # Merging of two sets of numbers (Chan, Golub and LeVeque 1979).
            total, delta = count + n, x.mean(axes) - mean
            squares = variance * count + x.var(axes) * n + delta**2 * count * n / total
            count, mean, variance = total, mean + delta * n / total, squares / total
        if count == 0:
            raise ValueError("[Normalization.adapt] received no data.")
        for weight, value in (
            (self.adapt_mean, mean),
            (self.adapt_variance, variance),
        ):
            weight.assign(value.astype(weight.dtype))

    def _statistic(self, given: Any, name: str) -> Any:
        """Mean or variance in a shape that broadcasts against the inputs."""
        if given is None:
            return ops.reshape(getattr(self, name), self._wide)
        sizes = tuple(self._wide[a] for a in self._kept)
        array = np.broadcast_to(np.asarray(given, self.compute_dtype), sizes)
        return ops.convert_to_tensor(array.reshape(self._wide))

    @property
    def mean(self) -> Any:
        """The mean, in a shape that broadcasts against the inputs."""
        return self._statistic(self.input_mean, "adapt_mean")

    @property
    def variance(self) -> Any:
        """The variance, in a shape that broadcasts against the inputs."""
        return self._statistic(self.input_variance, "adapt_variance")

    def call(self, inputs: Any) -> Any:
        x = ops.cast(inputs, self.compute_dtype)
        deviation = ops.maximum(ops.sqrt(self.variance), config.epsilon())
        if self.invert:
            return ops.add(self.mean, ops.multiply(x, deviation))
        return ops.divide(ops.subtract(x, self.mean), deviation)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "invert": self.invert,
            "mean": _numbers(self.input_mean),
            "variance": _numbers(self.input_variance),
        }


__all__ = ["Normalization", "Rescaling"]
