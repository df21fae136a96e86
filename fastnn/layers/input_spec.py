# SPDX-License-Identifier: Apache-2.0
"""What a layer demands of its inputs, and the error when it does not get it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from fastnn.errors import ShapeError

Shape = tuple[int | None, ...]


def format_shape(shape: Sequence[Any]) -> str:
    """`(None, 784)`; `*` for an axis that may have any size."""
    sizes = ["None" if size is None else str(size) for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


class InputSpec:
    """Rank, shape, dtype and sizes of single axes that a layer accepts.

    Args:
        dtype: name of the dtype, or None for any.
        shape: full shape; None for an axis of any size.
        ndim: exact rank.
        max_ndim: largest rank.
        min_ndim: smallest rank.
        axes: axis -> size, `{-1: 784}`; a size of None accepts all.
        allow_last_axis_squeeze: accept a last axis of size 1 too much or too little.
        name: name of the input in error messages.
        optional: whether the input may be None.
    """

    def __init__(
        self,
        dtype: str | None = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        ranks = [n for n in (self.ndim, max_ndim) if n is not None]
        if self.axes and ranks and max(self.axes) >= max(ranks):
            raise ValueError(
                f"[InputSpec] there is no axis {max(self.axes)} in rank {max(ranks)}."
            )

    def __repr__(self) -> str:
        fields = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        shown = [f"{f}={getattr(self, f)}" for f in fields if getattr(self, f)]
        return f"InputSpec({', '.join(shown)})"

    def get_config(self) -> dict[str, Any]:
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
            "optional": self.optional,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        return cls(**config)

    def problem(self, shape: Sequence[int | None], dtype: str | None) -> str | None:
        """What the layer expects, in words, when the input does not fit; else None."""
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim and not self._squeezable(shape):
            expected = f"an input of rank {self.ndim}"
            if self.shape is not None:
                expected = f"an input of shape {format_shape(self.shape)}"
            return expected
        if self.max_ndim is not None and rank > self.max_ndim:
            return f"an input of rank {self.max_ndim} or less"
        if self.min_ndim is not None and rank < self.min_ndim:
            return f"an input of rank {self.min_ndim} or more"
        if None not in (self.dtype, dtype) and dtype != self.dtype:
            return f"an input of dtype {self.dtype}"
        for axis, size in self.axes.items():
            got = shape[axis] if -rank <= axis < rank else None
            if size is not None and got is not None and got != size:
                where = "last axis" if axis in (-1, rank - 1) else f"axis {axis}"
                return f"an input whose {where} has size {size}"
        if self.shape is not None and rank == self.ndim:
            for size, got in zip(self.shape, shape, strict=True):
                if size is not None and got is not None and size != got:
                    return f"an input of shape {format_shape(self.shape)}"
        return None

    def _squeezable(self, shape: Sequence[int | None]) -> bool:
        if not self.allow_last_axis_squeeze or self.shape is None:
            return False
        if len(shape) == len(self.shape) + 1:
            return shape[-1] == 1
        return len(shape) == len(self.shape) - 1 and self.shape[-1] == 1


def _conforms(shape: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    """Whether sizes of the same number are equal, where both are known."""
    pairs = zip(shape, wanted, strict=True)
    return all(a == b or None in (a, b) for a, b in pairs)


def _advice(spec: InputSpec, shape: Sequence[int | None]) -> str:
    """A reshape that makes samples with the right number of values fit."""
    if spec.ndim == len(shape) + 1 and spec.shape is None and len(shape) > 1:
        sizes = format_shape((*shape[1:], 1))
        advice = f" A last axis is missing: write x[..., None], and Input({sizes})."
        if spec.ndim == 3:  # also convolutions of steps
            advice += " After a recurrent layer: give that return_sequences=True."
        return advice
    wanted = () if spec.shape is None else spec.shape[1:]
    if wanted and len(shape) == len(wanted) and _conforms(shape, wanted):
        return (
            " One sample needs an axis for the batch: write x[None]. Many need none in "
            "the model: Input's shape is that of one sample."
        )
    if None in (*wanted, *shape[1:]) or not wanted or tuple(shape[1:]) == wanted:
        return ""
    if prod(shape[1:]) != prod(wanted):  # type: ignore[arg-type]
        return ""
    sizes = ", ".join(map(str, (-1, *wanted)))
    return f" x.reshape({sizes}) has the expected shape."


def check_shape(
    layer: Any,
    spec: InputSpec | None,
    shape: Sequence[int | None],
    dtype: str | None = None,
    where: str | None = None,
) -> None:
    """Raises ShapeError unless an input of this shape fits the spec.

    Args:
        layer: the layer or model, for its class and name in the message.
        spec: what it demands; None for nothing.
        shape: shape of the input, None for open axes.
        dtype: dtype of the input, None when it does not matter.
        where: what the message begins with, the layer's class by default.
    """
    problem = None if spec is None else spec.problem(shape, dtype)
    if spec is not None and problem is not None:
        seen = "" if dtype is None else f", dtype {dtype}"
        raise ShapeError(
            f"[{where or type(layer).__name__}] {layer._kind} '{layer.name}' expects "
            f"{problem}; received shape {format_shape(shape)}{seen}."
            f"{_advice(spec, shape)}"
        )


def check_inputs(layer: Any, spec: Any, inputs: Sequence[Any]) -> None:
    """Raises ShapeError unless each input fits its spec.

    Args:
        layer: the layer, for its class and name in the message.
        spec: an InputSpec, or a list of one per input.
        inputs: tensors or arrays.
    """
    specs = spec if isinstance(spec, (list, tuple)) else [spec]
    if len(specs) != len(inputs):
        raise ShapeError(
            f"[{type(layer).__name__}] {layer._kind} '{layer.name}' expects "
            f"{len(specs)} inputs, received {len(inputs)}."
        )
    for one, tensor in zip(specs, inputs, strict=True):
        check_shape(layer, one, tensor.shape, str(tensor.dtype))


__all__ = ["InputSpec"]
