# SPDX-License-Identifier: Apache-2.0
"""Layers that make one tensor of several, and the same as functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any, ClassVar

from fastnn import ops
from fastnn._registry import export
from fastnn.errors import ShapeError
from fastnn.layers import _masks, _parts
from fastnn.layers.input_spec import format_shape
from fastnn.layers.layer import Layer

Shape = tuple[int | None, ...]
Shapes = Sequence[Shape]


def _list(shapes: Any) -> str:
    return ", ".join(format_shape(shape) for shape in shapes)


class Merge(Layer):
    """Combines a list of tensors; smaller ones are repeated as NumPy broadcasts.

    Tensors of lower rank get axes of size 1 behind the batch.

    Args:
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ShapeError: for anything but a list, and for shapes that do not fit.
    """

    _count: ClassVar[int | None] = None  # exact number of inputs
    _merge: ClassVar[Any]  # function of two tensors

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def _check_shapes(self, shapes: Any) -> None:
        kind = f"[{type(self).__name__}] layer '{self.name}'"
        if not isinstance(shapes, (list, tuple)) or not all(
            isinstance(shape, (list, tuple)) for shape in shapes
        ):
            raise ShapeError(
                f"{kind} merges a list of inputs: call it on [a, b]; received one "
                "input."
            )
        if len(shapes) != (self._count or max(len(shapes), 1)):
            expected = "at least one input" if self._count is None else "2 inputs"
            raise ShapeError(f"{kind} expects {expected}, received {len(shapes)}.")
        if not self._joins_batches() and (
            len({shape[0] for shape in shapes if shape} - {None}) > 1
        ):
            raise ShapeError(
                f"{kind} cannot merge different batch sizes; received {_list(shapes)}."
            )

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = previous_mask or [None]
        if any(mask is None for mask in masks):
            return None
        return reduce(ops.logical_or, masks)

    def _joins_batches(self) -> bool:
        return False

    def _check_inputs(self, inputs: Any) -> None:
        listed = isinstance(inputs, (list, tuple))
        self._check_shapes([x.shape for x in inputs] if listed else None)

    def build(self, input_shape: Shapes) -> None:
        self.compute_output_shape(input_shape)

    def call(self, inputs: Any) -> Any:
        self._check_inputs(inputs)
        rank = max(len(x.shape) for x in inputs)
        wide = [_with_rank(x, rank) for x in inputs]
        masks = [_masks.mask_of(x) for x in inputs]
        if all(mask is None for mask in masks):
            return self._merged(wide)
        spread = [m if m is None else ops.expand_dims(m, -1) for m in masks]
        wide_masks = [m if m is None else _with_rank(m, rank) for m in spread]
        return self._merged_counting(wide, wide_masks)

    def _merged(self, inputs: list[Any]) -> Any:
        return reduce(type(self)._merge, inputs)

    def _merged_counting(self, inputs: list[Any], masks: list[Any]) -> Any:
        """What is merged of inputs with masks, which have an axis for the features."""
        return self._merged(inputs)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        self._check_shapes(input_shape)
        rank = max(len(shape) for shape in input_shape)
        wide = [
            (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:])
            for shape in input_shape
        ]
        result: list[int | None] = []
        for axis, sizes in enumerate(zip(*wide, strict=True)):
            several = set(sizes) - {1} if axis else set(sizes) - {None}
            if len(several - {None}) > 1:
                raise ShapeError(
                    f"[{type(self).__name__}] layer '{self.name}' cannot merge shapes "
                    f"{_list(input_shape)}: axis {axis} differs."
                )
            open_size = None in several or not (several or axis)
            result.append(None if open_size else max(several, default=1))
        return tuple(result)


def _with_rank(x: Any, rank: int) -> Any:
    missing = rank - len(x.shape)
    if not missing:
        return x
    return ops.reshape(x, (x.shape[0], *(1,) * missing, *x.shape[1:]))


@export("keras.layers")
class Add(Merge):
    """The sum of a list of tensors; see `Merge`.

    Example:
        >>> keras.layers.Add()([np.ones(2), np.ones(2)]).numpy().tolist()
        [2.0, 2.0]
    """

    _merge = staticmethod(ops.add)


@export("keras.layers")
class Subtract(Merge):
    """The first of two tensors minus the second; see `Merge`."""

    _count = 2
    _merge = staticmethod(ops.subtract)


@export("keras.layers")
class Multiply(Merge):
    """The product of a list of tensors, element by element; see `Merge`.

    Places that a mask leaves out are no factor; a place that all masks leave out is 0.
    """

    _merge = staticmethod(ops.multiply)

    def _merged_counting(self, inputs: list[Any], masks: list[Any]) -> Any:
        pairs = zip(inputs, masks, strict=True)
        result = self._merged(
            [x if m is None else ops.where(m, x, 1) for x, m in pairs]
        )
        if any(mask is None for mask in masks):
            return result
        return ops.where(reduce(ops.logical_or, masks), result, 0)


@export("keras.layers")
class Average(Merge):
    """The mean of a list of tensors; see `Merge`."""

    _merge = staticmethod(ops.add)

    def _merged(self, inputs: list[Any]) -> Any:
        return ops.divide(super()._merged(inputs), len(inputs))


class Extremum(Merge):
    """Of each pair, a place that a mask leaves out is that of the other."""

    def _merged_counting(self, inputs: list[Any], masks: list[Any]) -> Any:
        result, counts = inputs[0], masks[0]
        for x, mask in zip(inputs[1:], masks[1:], strict=True):
            other = x if mask is None else ops.where(mask, x, result)
            if counts is not None:
                result = ops.where(counts, result, other)
            both = mask is not None and counts is not None
            counts = ops.logical_or(counts, mask) if both else None
            result = type(self)._merge(result, other)
        return result


@export("keras.layers")
class Maximum(Extremum):
    """The largest of the elements at each place of a list of tensors; see `Merge`."""

    _merge = staticmethod(ops.maximum)


@export("keras.layers")
class Minimum(Extremum):
    """The smallest of the elements at each place of a list of tensors; see `Merge`."""

    _merge = staticmethod(ops.minimum)


@export("keras.layers")
class Concatenate(Merge):
    """A list of tensors joined along an axis; all other sizes are equal.

    Args:
        axis: the axis, counted with the batch.
        **kwargs: `name`, `dtype`, `trainable`.

    Raises:
        ShapeError: when other sizes differ.

    Example:
        >>> keras.layers.Concatenate()([np.ones((2, 3)), np.ones((2, 5))]).shape
        (2, 8)
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = int(axis)

    def _joins_batches(self) -> bool:
        return self.axis == 0

    def call(self, inputs: Any) -> Any:
        self._check_inputs(inputs)
        return ops.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None:
            return None
        masks = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            wide = ops.ones_like(x, dtype="bool")
            if mask is not None:
                wider = len(mask.shape) < len(x.shape)
                mask = ops.expand_dims(mask, -1) if wider else mask
                wide = ops.logical_and(mask, wide)
            masks.append(wide)
        return ops.any(ops.concatenate(masks, axis=self.axis), axis=-1)

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        self._check_shapes(input_shape)
        first = input_shape[0]
        ranks = {len(shape) for shape in input_shape}
        sizes: list[int | None] = []
        for axis in range(len(first) if len(ranks) == 1 else 0):
            along = [shape[axis] for shape in input_shape]
            known = [n for n in along if n is not None]
            if axis == self.axis % len(first):
                sizes.append(sum(known) if len(known) == len(along) else None)
            elif len(set(known)) < 2:
                sizes.append(known[0] if known else None)
        if len(sizes) != len(first) or not -len(first) <= self.axis < len(first):
            raise ShapeError(
                f"[Concatenate] layer '{self.name}' joins inputs along axis "
                f"{self.axis}; all other sizes must be equal. "
                f"Received {_list(input_shape)}."
            )
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@export("keras.layers")
class Dot(Merge):
    """Products of two tensors, summed along one axis of each, sample by sample.

    Args:
        axes: the axis of both, or (of the first, of the second); not the batch, 0.
        normalize: divide both by their norms along the axis first, which gives the
            cosine of the angle.
        **kwargs: `name`, `dtype`, `trainable`.

    Shapes: (batch, a, n), (batch, n, b) with axes (2, 1) -> (batch, a, b). Two vectors
    per sample give (batch, 1).

    Raises:
        ValueError: for other axes.
        ShapeError: when the sizes of the axes differ.
    """

    _count = 2

    def __init__(self, axes: Any, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        if (
            not isinstance(pair, (tuple, list))
            or len(pair) != 2
            or not all(isinstance(axis, int) and axis for axis in pair)
        ):
            raise ValueError(
                "[Dot] axes must be an integer or two of them, other than 0 (the "
                f"batch); received {axes!r}."
            )
        self.axes = axes
        self.normalize = bool(normalize)

    def _axes(self, shapes: Any) -> tuple[int, int]:
        """The two axes, counted from the front."""
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        found = []
        for axis, shape in zip(pair, shapes, strict=True):
            if not -len(shape) < axis < len(shape):
                raise ShapeError(
                    f"[Dot] layer '{self.name}': shape {format_shape(shape)} has no "
                    f"axis {axis} besides the batch."
                )
            found.append(axis % len(shape))
        return found[0], found[1]

    def _merged(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape([x.shape for x in inputs])
        x, y = inputs
        a, b = self._axes([x.shape, y.shape])
        if self.normalize:
            x, y = ops.normalize(x, a), ops.normalize(y, b)
        left = [i for i in range(1, len(x.shape)) if i != a]
        right = [i for i in range(1, len(y.shape)) if i != b]
        x = ops.transpose(x, (0, *left, a))
        y = ops.transpose(y, (0, b, *right))
        batch, n = x.shape[0], x.shape[-1]
        products = ops.matmul(
            ops.reshape(x, (batch, prod(x.shape[1:-1]), n)),
            ops.reshape(y, (batch, n, prod(y.shape[2:]))),
        )
        sizes = (*x.shape[1:-1], *y.shape[2:])
        return ops.reshape(products, (batch, *(sizes or (1,))))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None

    def compute_output_shape(self, input_shape: Shapes) -> Shape:
        self._check_shapes(input_shape)
        a, b = self._axes(input_shape)
        x, y = (list(shape) for shape in input_shape)
        n, m = x.pop(a), y.pop(b)
        if None not in (n, m) and n != m:
            raise ShapeError(
                f"[Dot] layer '{self.name}' sums along axes of equal size; axis {a} "
                f"and axis {b} of {_list(input_shape)} have {n} and {m}."
            )
        sizes = (*x, *y[1:])
        return sizes if len(sizes) > 1 else (*sizes, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **_parts.config_of(self, "axes normalize")}


@export("keras.layers")
def add(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Add(**kwargs)(inputs)`."""
    return Add(**kwargs)(inputs)


@export("keras.layers")
def subtract(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Subtract(**kwargs)(inputs)`."""
    return Subtract(**kwargs)(inputs)


@export("keras.layers")
def multiply(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Multiply(**kwargs)(inputs)`."""
    return Multiply(**kwargs)(inputs)


@export("keras.layers")
def average(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Average(**kwargs)(inputs)`."""
    return Average(**kwargs)(inputs)


@export("keras.layers")
def maximum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Maximum(**kwargs)(inputs)`."""
    return Maximum(**kwargs)(inputs)


@export("keras.layers")
def minimum(inputs: Sequence[Any], **kwargs: Any) -> Any:
    """`Minimum(**kwargs)(inputs)`."""
    return Minimum(**kwargs)(inputs)


@export("keras.layers")
def concatenate(inputs: Sequence[Any], axis: int = -1, **kwargs: Any) -> Any:
    """`Concatenate(axis, **kwargs)(inputs)`."""
    return Concatenate(axis, **kwargs)(inputs)


@export("keras.layers")
def dot(inputs: Sequence[Any], axes: Any = -1, **kwargs: Any) -> Any:
    """`Dot(axes, **kwargs)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)


__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
