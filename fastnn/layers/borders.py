# SPDX-License-Identifier: Apache-2.0
"""Layers that put zeros around images, or cut their borders off."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import ops
from fastnn._registry import export
from fastnn.autodiff import raw
from fastnn.errors import ShapeError
from fastnn.layers import _images, _parts
from fastnn.layers._images import Shape
from fastnn.layers.input_spec import InputSpec, format_shape
from fastnn.layers.layer import Layer
from fastnn.ops._images import per_axis

Pairs = tuple[tuple[int, ...], ...]


class BorderLayer(Layer):
    """Changes every spatial size by elements before and after it.

    Attributes:
        rank: number of spatial axes.
    """

    rank: ClassVar[int]
    _argument: ClassVar[str]  # its name in the constructor

    def _keep_border(self, value: Any, data_format: str | None) -> None:
        self.data_format = _images.data_format_of(self, data_format)
        pairs = self._pairs(value)
        setattr(self, self._argument, pairs[0] if self.rank == 1 else pairs)
        self.input_spec = InputSpec(ndim=self.rank + 2)
        self.built = True

    def _pairs(self, value: Any) -> Pairs:
        """(before, after) of each axis from one integer, or from one entry per axis.

        Raises:
            ValueError: for anything else.
        """
        kind, name = type(self).__name__, self._argument
        if self.rank == 1:
            return (per_axis(kind, name, value, 2, least=0),)
        entries = value if isinstance(value, (tuple, list)) else (value,) * self.rank
        if len(entries) != self.rank:
            raise ValueError(
                f"[{kind}] {name} must be an integer or {self.rank} of them, or "
                f"{self.rank} pairs (before, after), one per axis; received {value!r}."
            )
        return tuple(per_axis(kind, name, entry, 2, least=0) for entry in entries)

    @property
    def _borders(self) -> Pairs:
        value = getattr(self, self._argument)
        return (value,) if self.rank == 1 else value

    def _all_axes(self, pairs: Any, none: Any, rank: int) -> list[Any]:
        """One entry per axis of the inputs, `none` for batch and channels."""
        entries = [none] * rank
        for axis, pair in zip(_images.spatial_axes(self, rank), pairs, strict=True):
            entries[axis] = pair
        return entries

    def get_config(self) -> dict[str, Any]:
        names = f"{self._argument} data_format"
        return {**super().get_config(), **_parts.config_of(self, names)}


class BaseZeroPadding(BorderLayer):
    """Zeros before and after the spatial axes.

    Args:
        padding: number of zeros on all sides, or one entry per axis, an integer or
            (before, after); in 1-D an integer or (before, after).
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for anything but such integers from 0 on.
    """

    _argument = "padding"

    def __init__(
        self, padding: Any = 1, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep_border(padding, data_format)

    def call(self, inputs: Any) -> Any:
        pairs = self._all_axes(self._borders, (0, 0), len(inputs.shape))
        return ops.pad(inputs, pairs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def padded(n: int, pair: Any) -> int:
            return n + sum(pair)

        return _images.changed_sizes(self, input_shape, padded, self._borders)


class BaseCropping(BorderLayer):
    """The spatial axes without elements at their ends.

    Args:
        cropping: number of elements to cut on all sides, or one entry per axis, an
            integer or (before, after).
        data_format: `"channels_last"` or `"channels_first"`, the configured one if
            None.
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.

    Raises:
        ValueError: for anything but such integers from 0 on.
        ShapeError: when nothing is left.
    """

    _argument = "cropping"

    def __init__(
        self, cropping: Any, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._keep_border(cropping, data_format)

    def call(self, inputs: Any) -> Any:
        shape = inputs.shape
        self.compute_output_shape(shape)
        axes = _images.spatial_axes(self, len(shape))
        cuts = [
            (before, shape[axis] - after, 1)
            for axis, (before, after) in zip(axes, self._borders, strict=True)
        ]
        return raw.slice(
            inputs, tuple(self._all_axes(cuts, (None, None, 1), len(shape)))
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        def cut(n: int, pair: Any) -> int:
            return n - sum(pair)

        result = _images.changed_sizes(self, input_shape, cut, self._borders)
        if any(n is not None and n <= 0 for n in result[1:]):
            raise ShapeError(
                f"[{type(self).__name__}] layer '{self.name}' with cropping="
                f"{self.cropping} leaves nothing of shape {format_shape(input_shape)}."
            )
        return result


@export("keras.layers")
class ZeroPadding1D(BaseZeroPadding):
    """Zeros around the steps of (batch, steps, channels).

    Arguments and errors are those of `BaseZeroPadding`.
    """

    rank = 1


@export("keras.layers")
class ZeroPadding2D(BaseZeroPadding):
    """Zeros around images (batch, height, width, channels).

    Arguments and errors are those of `BaseZeroPadding`.

    Example:
        >>> keras.layers.ZeroPadding2D(1)(np.ones((1, 3, 3, 1))).shape
        (1, 5, 5, 1)
    """

    rank = 2


@export("keras.layers")
class ZeroPadding3D(BaseZeroPadding):
    """Zeros around volumes (batch, depth, height, width, channels).

    Arguments and errors are those of `BaseZeroPadding`.
    """

    rank = 3


@export("keras.layers")
class Cropping1D(BaseCropping):
    """(batch, steps, channels) without steps at the ends.

    Args:
        cropping: number of steps to cut at both ends, or (before, after).
        **kwargs: `name`, `dtype`, `trainable`, `input_shape`.
    """

    rank = 1

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        super().__init__(cropping, "channels_last", **kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["data_format"]
        return config


@export("keras.layers")
class Cropping2D(BaseCropping):
    """Images (batch, height, width, channels) without their borders.

    Arguments and errors are those of `BaseCropping`.
    """

    rank = 2

    def __init__(
        self, cropping: Any = 0, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)


@export("keras.layers")
class Cropping3D(BaseCropping):
    """Volumes (batch, depth, height, width, channels) without their borders.

    Arguments and errors are those of `BaseCropping`.
    """

    rank = 3

    def __init__(
        self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(cropping, data_format, **kwargs)


__all__ = [
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
]
