# SPDX-License-Identifier: Apache-2.0
"""Layers that add or multiply noise while training, and spatial dropout."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

from fastnn import ops, random, regularizers
from fastnn._registry import export
from fastnn.layers import _images, _parts
from fastnn.layers.dropout import Dropout, Strength
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]


class NoiseLayer(Layer):
    """Draws from a stream of its own while training; the identity otherwise."""

    strength: ClassVar[str] = "rate"  # the attribute; without it nothing is drawn

    def _keep_noise(self, value: Any, seed: int | None) -> None:
        """Keeps the noise's strength and seed.

        Raises:
            ValueError: for a strength out of range.
        """
        self.seed = seed
        self.seed_generator: random.SeedGenerator | None = None
        setattr(self, self.strength, value)
        self.supports_masking = True
        self.built = True

    def _disturb(self, inputs: Any) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or getattr(self, self.strength) == 0:
            return inputs
        return self._disturb(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@export("keras.layers")
class GaussianNoise(NoiseLayer):
    """Adds normal noise of deviation `stddev` while training.

    Args:
        stddev: standard deviation of the noise, in [0, 1].
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    strength = "stddev"
    stddev = Strength("]")

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep_noise(stddev, seed)

    def _disturb(self, inputs: Any) -> Any:
        noise = random.normal(
            inputs.shape, 0.0, self.stddev, inputs.dtype, self.seed_generator
        )
        return ops.add(inputs, noise)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "stddev seed")}


@export("keras.layers")
class GaussianDropout(NoiseLayer):
    """Multiplies by normal noise of mean 1 while training.

    Its variance, rate / (1 - rate), is that of dropout (Srivastava et al., 2014,
    section 10).

    Args:
        rate: the dropout rate of equal variance, in [0, 1).
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    rate = Strength(")")

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep_noise(rate, seed)

    def _disturb(self, inputs: Any) -> Any:
        deviation = sqrt(self.rate / (1 - self.rate))
        noise = random.normal(
            inputs.shape, 1.0, deviation, inputs.dtype, self.seed_generator
        )
        return ops.multiply(inputs, noise)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "rate seed")}


# SELU's limit at minus infinity: -alpha * scale (Klambauer et al., 2017).
_SELU_LIMIT = -1.6732632423543772 * 1.0507009873554805


@export("keras.layers")
class AlphaDropout(NoiseLayer):
    """Dropout that keeps mean 0 and variance 1, for networks of SELUs.

    Dropped inputs get SELU's lowest value; an affine map restores mean and variance
    (Klambauer et al., 2017, arXiv:1706.02515).

    Args:
        rate: share to drop, in [0, 1).
        noise_shape: shape of the decisions, 1 for axes that share one; None decides
            each element alone.
        seed: integer, or None for one drawn from the process-wide stream.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    rate = Strength(")")

    def __init__(
        self,
        rate: float,
        noise_shape: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._keep_noise(rate, seed)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def _disturb(self, inputs: Any) -> Any:
        given = self.noise_shape or (None,) * len(inputs.shape)
        pairs = zip(given, inputs.shape, strict=True)
        shape = tuple(size if n is None else n for n, size in pairs)
        draws = random.uniform(shape, dtype=inputs.dtype, seed=self.seed_generator)
        kept = ops.greater_equal(draws, self.rate)
        a = ((1 - self.rate) * (1 + self.rate * _SELU_LIMIT**2)) ** -0.5
        b = -a * _SELU_LIMIT * self.rate
        mixed = ops.where(kept, inputs, _SELU_LIMIT)
        return ops.add(ops.multiply(mixed, a), b)

    def get_config(self) -> dict[str, Any]:
        names = "rate seed noise_shape"
        return {**super().get_config(), **_parts.config_of(self, names)}


class BaseSpatialDropout(Dropout):
    """Drops whole channels of a sample (arXiv:1411.4280).

    Args:
        rate: share of the channels to drop, in [0, 1].
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        seed: integer, or None for one drawn from the process-wide stream.
        name: name of the layer.
        dtype: dtype of the layer.
        **kwargs: `trainable`, `input_shape`.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype, **kwargs)
        self.data_format = _images.data_format_of(self, data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _mask_shape(self, shape: Any) -> Any:
        return _images.with_sizes(self, shape, (1,) * self.rank)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        # Keras's own takes no `trainable`, and refuses a file that has it.
        for name in ("noise_shape", "trainable"):
            del config[name]
        return {**config, "data_format": self.data_format}


@export("keras.layers")
class SpatialDropout1D(BaseSpatialDropout):
    """Drops whole channels of (batch, steps, channels).

    Args:
        rate: share of the channels to drop, in [0, 1].
        seed: integer, or None for one drawn from the process-wide stream.
        name: name of the layer.
        dtype: dtype of the layer.
        **kwargs: `trainable`, `input_shape`.
    """

    rank = 1

    def __init__(
        self,
        rate: float,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, "channels_last", seed, name, dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


@export("keras.layers")
class SpatialDropout2D(BaseSpatialDropout):
    """Drops whole channels of images; see `BaseSpatialDropout`."""

    rank = 2


@export("keras.layers")
class SpatialDropout3D(BaseSpatialDropout):
    """Drops whole channels of volumes; see `BaseSpatialDropout`."""

    rank = 3


@export("keras.layers")
class ActivityRegularization(Layer):
    """The identity, which adds a penalty of its inputs to the loss.

    Args:
        l1: factor of the sum of absolute values.
        l2: factor of the sum of squares.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        penalty = regularizers.L1L2(l1=l1, l2=l2)
        super().__init__(activity_regularizer=penalty, **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "l1 l2")}


__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]
