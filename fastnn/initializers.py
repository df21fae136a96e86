# SPDX-License-Identifier: Apache-2.0
"""First values of variables, `initializer(shape, dtype)`.

The random ones draw from the counter-based generator of `fastnn.random`: an integer
seed gives the same values at every call, whatever the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config as _config
from fastnn import ops, random, seeds
from fastnn.errors import ShapeError
from fastnn.serialization import (
    deserialize_keras_object,
    export,
    exported,
    resolve,
    serialize_keras_object,
)

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor

_MODULE = "keras.initializers"

# Deviation of a standard normal cut at 2 deviations; dividing by it restores the
# deviation that was asked for.
_TRUNCATED_STDDEV = 0.87962566103423978

Shape = Sequence[int]
Axes = Sequence[int] | None


@export(_MODULE, "keras")
class Initializer:
    """Base of initializers: define `__call__(shape, dtype)`."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        """Values for a new variable of this shape and dtype (None: `floatx()`)."""
        raise NotImplementedError(
            f"[initializer] {type(self).__name__} must define __call__(shape, dtype)."
        )

    def get_config(self) -> dict[str, Any]:
        """Arguments that rebuild this object; subclasses with state override it."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Rebuilds the object from `get_config()`."""
        return cls(**config)

    def clone(self) -> Initializer:
        """A new object with the same config (an unseeded one draws a new seed)."""
        return type(self).from_config(self.get_config())


@export(_MODULE, names=("zeros", "zero"))
class Zeros(Initializer):
    """All 0."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return ops.zeros(tuple(shape), dtype=dtype or _config.floatx())


@export(_MODULE, names=("ones", "one"))
class Ones(Initializer):
    """All 1."""

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return ops.ones(tuple(shape), dtype=dtype or _config.floatx())


@export(_MODULE, names=("constant",))
class Constant(Initializer):
    """All `value`, a number or an array that broadcasts to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        filled = np.array(np.broadcast_to(self.value, tuple(shape)))
        return ops.convert_to_tensor(filled, dtype=dtype or _config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        return cls(deserialize_keras_object(config["value"]))


@export(_MODULE, names=("identity", "IdentityInitializer"))
class Identity(Initializer):
    """`gain` on the diagonal of a matrix, 0 elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        if len(shape) != 2:
            raise ShapeError(f"[Identity] needs a matrix, got shape {tuple(shape)}.")
        rows, columns = shape
        values = np.eye(rows, columns) * self.gain
        return ops.convert_to_tensor(values, dtype=dtype or _config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


class RandomInitializer(Initializer):
    """Base of random initializers: keeps the seed given and the seed used."""

    def __init__(self, seed: Any = None) -> None:
        self._init_seed = seed
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        self.seed = seeds.next_seed() if seed is None else seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": serialize_keras_object(self._init_seed)}


@export(_MODULE, names=("random_normal", "normal"))
class RandomNormal(RandomInitializer):
    """Normal distribution.

    Args:
        mean, stddev: of the distribution.
        seed: integer, `SeedGenerator`, or None for a seed of the process-wide stream.
    """

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None
    ) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return random.normal(
            shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@export(_MODULE, names=("truncated_normal",))
class TruncatedNormal(RandomInitializer):
    """Normal distribution, values beyond 2 `stddev` from the mean drawn again."""

    def __init__(
        self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None
    ) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return random.truncated_normal(
            shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@export(_MODULE, names=("random_uniform", "uniform"))
class RandomUniform(RandomInitializer):
    """Uniform distribution in `[minval, maxval)`."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None
    ) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        return random.uniform(
            shape, minval=self.minval, maxval=self.maxval, dtype=dtype, seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def compute_fans(
    shape: Shape, input_axes: Axes = None, output_axes: Axes = None
) -> tuple[int, int]:
    """Number of inputs and outputs of a unit of a kernel of this shape.

    A kernel is `(..., inputs, outputs)`, where the leading axes (the receptive field of
    a convolution) count for both. A vector counts its size twice. `input_axes` and
    `output_axes` together override this.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(shape[axis] for axis in input_axes),
            math.prod(shape[axis] for axis in output_axes),
        )
    if len(shape) < 2:
        return math.prod(shape), math.prod(shape)
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


@export(_MODULE, names=("variance_scaling",))
class VarianceScaling(RandomInitializer):
    """Variance `scale / n`, with `n` the number of inputs and/or outputs of a unit.

    Args:
        scale: factor > 0.
        mode: `n` is `"fan_in"`, `"fan_out"` or their mean, `"fan_avg"`.
        distribution: `"truncated_normal"` (`"normal"` is the same), whose deviation is
            corrected for the cut, `"untruncated_normal"`, or `"uniform"` in
            `[-sqrt(3 * scale / n), sqrt(3 * scale / n))`.
        seed: integer, `SeedGenerator`, or None for a seed of the process-wide stream.
        input_axes, output_axes: axes to count instead of the last two.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ) -> None:
        super().__init__(seed)
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if not scale > 0.0:
            raise ValueError(f"[VarianceScaling] scale must be > 0, got {scale!r}.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(
                "[VarianceScaling] mode must be 'fan_in', 'fan_out' or 'fan_avg', "
                f"got {mode!r}."
            )
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "[VarianceScaling] distribution must be 'truncated_normal', "
                f"'untruncated_normal' or 'uniform', got {distribution!r}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fans = {
            "fan_in": fan_in,
            "fan_out": fan_out,
            "fan_avg": (fan_in + fan_out) / 2,
        }
        variance = self.scale / max(1.0, fans[self.mode])
        common: dict[str, Any] = {"dtype": dtype, "seed": self.seed}
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, minval=-limit, maxval=limit, **common)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return random.normal(shape, mean=0.0, stddev=stddev, **common)
        return random.truncated_normal(
            shape, mean=0.0, stddev=stddev / _TRUNCATED_STDDEV, **common
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _NamedScaling(VarianceScaling):
    """A VarianceScaling with fixed scale, mode and distribution."""

    _rule: tuple[float, str, str]

    def __init__(
        self, seed: Any = None, input_axes: Axes = None, output_axes: Axes = None
    ) -> None:
        super().__init__(*self._rule, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {
            "seed": serialize_keras_object(self._init_seed),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


@export(_MODULE, names=("glorot_uniform",))
class GlorotUniform(_NamedScaling):
    """Uniform, variance `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010)."""

    _rule = (1.0, "fan_avg", "uniform")


@export(_MODULE, names=("glorot_normal",))
class GlorotNormal(_NamedScaling):
    """Truncated normal, variance `2 / (fan_in + fan_out)` (Glorot and Bengio, 2010)."""

    _rule = (1.0, "fan_avg", "truncated_normal")


@export(_MODULE, names=("he_uniform",))
class HeUniform(_NamedScaling):
    """Uniform, variance `2 / fan_in`, for ReLU and kin (He et al., 2015)."""

    _rule = (2.0, "fan_in", "uniform")


@export(_MODULE, names=("he_normal",))
class HeNormal(_NamedScaling):
    """Truncated normal, variance `2 / fan_in`, for ReLU and kin (He et al., 2015)."""

    _rule = (2.0, "fan_in", "truncated_normal")


@export(_MODULE, names=("lecun_uniform",))
class LecunUniform(_NamedScaling):
    """Uniform, variance `1 / fan_in` (LeCun et al., 1998)."""

    _rule = (1.0, "fan_in", "uniform")


@export(_MODULE, names=("lecun_normal",))
class LecunNormal(_NamedScaling):
    """Truncated normal, variance `1 / fan_in`, for SELU (Klambauer et al., 2017)."""

    _rule = (1.0, "fan_in", "truncated_normal")


@export(_MODULE, names=("orthogonal", "OrthogonalInitializer"))
class Orthogonal(RandomInitializer):
    """A matrix with orthonormal columns (rows, when it is wide), times `gain`.

    The QR decomposition of a normal matrix, signs fixed so that it is uniform over the
    orthogonal matrices (Saxe et al., 2013). All axes but the last count as rows.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        if len(shape) < 2:
            raise ShapeError(
                f"[Orthogonal] needs at least two axes, got shape {tuple(shape)}."
            )
        rows, cols = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, cols), min(rows, cols))
        drawn = random.normal(tall, dtype="float64", seed=self.seed)
        q, r = np.linalg.qr(ops.convert_to_numpy(drawn))
        q = q * np.sign(np.diag(r))
        if rows < cols:
            q = q.T
        values = (self.gain * q).reshape(tuple(shape))
        return ops.convert_to_tensor(values, dtype=dtype or _config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}


def _window(window: Any, length: int, periodic: bool) -> Any:
    from fastnn.ops.spectral import named_window

    return named_window(window, length, periodic) if isinstance(window, str) else window


@export(_MODULE, names=("stft", "STFTInitializer"))
class STFT(Initializer):
    """Kernel of a convolution that is a short-time Fourier transform.

    `w[t] cos(2 pi f t / n)`, or `-w[t] sin(...)`, for the frequencies f = 0..n/2.

    Args:
        side: `"real"` or `"imag"`.
        window: `"hann"`, `"hamming"`, another name that SciPy has, an array, or None.
        scaling: `"density"` divides by the window's root of squares, `"spectrum"` by
            its sum, None by nothing.
        periodic: whether the window is periodic instead of symmetric.

    Raises:
        ValueError: for another side, scaling or window.
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ) -> None:
        if side not in ("real", "imag"):
            raise ValueError(
                f"[STFT] side must be 'real' or 'imag', received {side!r}."
            )
        if isinstance(window, str):
            _window(window, 1, periodic)
        if scaling not in (None, "density", "spectrum"):
            raise ValueError(
                "[STFT] scaling must be None, 'density' or 'spectrum', received "
                f"{scaling!r}."
            )
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: Shape, dtype: str | None = None) -> Tensor:
        """Values of shape (frame length, 1, n // 2 + 1)."""
        length, _, frequencies = shape
        size = max(2 * (frequencies - 1), 1)
        places = np.arange(length)[:, None] * np.arange(frequencies) % size
        turns = 2 * np.pi * places / size
        kernel = np.cos(turns) if self.side == "real" else -np.sin(turns)
        if self.window is not None:
            window = np.asarray(_window(self.window, length, self.periodic), "float64")
            if window.shape != (length,):
                raise ValueError(
                    f"[STFT] the window must have shape ({length},), received "
                    f"{window.shape}."
                )
            scale = {
                None: 1.0,
                "density": np.sqrt(np.sum(window**2)),
                "spectrum": np.sum(np.abs(window)),
            }[self.scaling]
            kernel = kernel * (window / scale)[:, None]
        return ops.convert_to_tensor(kernel[:, None], dtype=dtype or _config.floatx())

    def get_config(self) -> dict[str, Any]:
        window = self.window
        return {
            "side": self.side,
            "window": window if isinstance(window, (str, type(None))) else list(window),
            "periodic": self.periodic,
            "scaling": self.scaling,
        }


zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
stft = STFTInitializer = STFT
random_normal, random_uniform = RandomNormal, RandomUniform
truncated_normal, variance_scaling = TruncatedNormal, VarianceScaling
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
orthogonal = Orthogonal

_TABLE = exported(_MODULE)


def serialize(initializer: Any) -> Any:
    """The config dict of an initializer."""
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that `serialize` described."""
    return deserialize_keras_object(config, custom_objects, module_objects=_TABLE)


def get(identifier: Any) -> Any:
    """An initializer by name, config, class or callable; None stays None.

    An array or tensor gives an initializer that returns exactly it.
    """
    if hasattr(identifier, "shape") and not callable(identifier):
        values = identifier

        def given(shape: Shape, dtype: str | None = None) -> Tensor:
            if tuple(shape) != tuple(values.shape):
                raise ShapeError(
                    f"[initializer] the array given has shape {tuple(values.shape)}, "
                    f"the variable {tuple(shape)}."
                )
            return ops.cast(values, dtype or _config.floatx())

        return given
    return resolve(identifier, _TABLE, "initializer")
