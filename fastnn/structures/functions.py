# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's functions whose arguments differ from those of `fastnn.ops`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import ShapeError
from fastnn.graph.control import tracing
from fastnn.graph.python_calls import call_python
from fastnn.ops.control import map as rows_of
from fastnn.opset._dtypes import know


class TensorShape(tuple):
    """A shape: a tuple of sizes, None where one is open, with TensorFlow's methods.

    Args:
        dims: sizes, another shape, or one integer.
    """

    __slots__ = ()

    def __new__(cls, dims: Any = ()) -> TensorShape:
        sizes = dims if isinstance(dims, (list, tuple)) else (dims,)
        return super().__new__(cls, [None if n is None else int(n) for n in sizes])

    def __repr__(self) -> str:
        return f"TensorShape({self.as_list()})"

    def as_list(self) -> list[int | None]:
        return list(self)

    @property
    def rank(self) -> int:
        return len(self)

    def num_elements(self) -> int | None:
        """Product of the sizes; None when one is open."""
        return prod(self) if self.is_fully_defined() else None

    def is_fully_defined(self) -> bool:
        return None not in self

    def concatenate(self, other: Any) -> TensorShape:
        return TensorShape((*self, *TensorShape(other)))


def add_n(inputs: Sequence[Any], name: str | None = None) -> Any:
    """The sum of tensors of one shape and dtype.

    Raises:
        ValueError: for an empty list. ShapeError: for shapes that differ.
    """
    tensors = [convert_to_tensor(t) for t in inputs]
    if not tensors:
        raise ValueError("[add_n] at least one tensor is needed")
    total = tensors[0]
    for t in tensors[1:]:
        if t.shape != total.shape:
            raise ShapeError(
                f"[add_n] all shapes must be equal, received {total.shape} and "
                f"{t.shape}: tf.add broadcasts"
            )
        total = total + t
    return total


def argmax(input: Any, axis: int | None = 0, output_type: str = "int64") -> Any:
    """Index of the first largest element, along the first axis by default."""
    return ops.cast(ops.argmax(input, axis), output_type)


def argmin(input: Any, axis: int | None = 0, output_type: str = "int64") -> Any:
    """Index of the first smallest element, along the first axis by default."""
    return ops.cast(ops.argmin(input, axis), output_type)


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING") -> Any:
    """Sorted along an axis; `direction` "ASCENDING" or "DESCENDING".

    Raises:
        ValueError: for another direction.
    """
    y = ops.sort(values, axis)
    return ops.flip(y, axis) if _descends("sort", direction) else y


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False
) -> Any:
    """Indices that sort along an axis; always stable."""
    if not _descends("argsort", direction):
        return ops.argsort(values, axis)
    # Of equal elements the first stays first: sort from the end, count from the end.
    x = convert_to_tensor(values)
    return ops.flip(x.shape[axis] - 1 - ops.argsort(ops.flip(x, axis), axis), axis)


def _descends(name: str, direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"[{name}] direction must be 'ASCENDING' or 'DESCENDING', received "
            f"{direction!r}"
        )
    return direction == "DESCENDING"


def gather(
    params: Any, indices: Any, validate_indices: Any = None, axis: int = 0
) -> Any:
    """Slices of params at `indices` along an axis."""
    return ops.take(params, indices, axis)


def gather_nd(params: Any, indices: Any) -> Any:
    """`params[tuple(i)]` for each i along the last axis of indices."""
    x, at = convert_to_tensor(params), convert_to_tensor(indices)
    return x[tuple(at[..., k] for k in range(at.shape[-1]))]


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None) -> Any:
    """Elements where mask holds, along the axes of mask from `axis` on."""
    lead = (slice(None),) * (axis or 0)
    return convert_to_tensor(tensor)[(*lead, convert_to_tensor(mask))]


def map_fn(
    fn: Callable[[Any], Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    fn_output_signature: Any = None,
) -> Any:
    """`fn` of each row, stacked.

    Args:
        fn: of one row, or of a structure of rows.
        elems: tensor or structure of tensors with equal leading axes.
        dtype, parallel_iterations, fn_output_signature: accepted, as TensorFlow's.
    """
    return rows_of(fn, elems)


def size(input: Any, out_type: str = "int32") -> Any:
    """Number of elements, as a scalar tensor."""
    return convert_to_tensor(ops.size(input), know(out_type))


def rank(input: Any) -> Any:
    """Number of axes, as an int32 scalar."""
    return convert_to_tensor(ops.ndim(input), "int32")


def shape(input: Any, out_type: str = "int32") -> TensorShape:
    """The shape, as Python numbers: fastnn traces with known shapes."""
    return TensorShape(ops.shape(input))


def reverse(tensor: Any, axis: Any) -> Any:
    """In reversed order along axes."""
    return ops.flip(tensor, axis)


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0
) -> Any:
    """Within a border of `paddings[i]` = (before, after) along axis i.

    `mode`: "CONSTANT", "REFLECT" or "SYMMETRIC".
    """
    widths = np.asarray(paddings).tolist()
    if mode.upper() == "CONSTANT":
        return ops.pad(tensor, widths, "constant", constant_values)
    return ops.pad(tensor, widths, mode.lower())


def cumsum(
    x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False
) -> Any:
    """Running sums along an axis; `exclusive` leaves out the element itself."""
    t = convert_to_tensor(x)
    y = ops.cumsum(ops.flip(t, axis) if reverse else t, axis)
    if exclusive:
        lead = (slice(None),) * (axis % t.ndim)
        none = ops.zeros_like(y[(*lead, slice(0, 1))])
        y = ops.concatenate([none, y[(*lead, slice(None, -1))]], axis)
    return ops.flip(y, axis) if reverse else y


def py_function(func: Callable[..., Any], inp: Sequence[Any], Tout: Any) -> Any:
    """Python on the values of tensors.

    In a traced function it is called at every run in which its results are used, and
    once on zeros while tracing, for the shapes of its results; the function runs node
    by node then. Gradients flow through what it computes with ops.

    Args:
        func: of tensors with values; returns tensors, arrays or numbers.
        inp: tensors.
        Tout: dtype of the result, or a list of as many as there are results.

    Raises:
        ShapeError: at a run of a traced function that gives other shapes than zeros do.
    """
    several = isinstance(Tout, (list, tuple))
    dtypes = list(Tout) if several else [Tout]

    def call(*tensors: Tensor) -> list[Tensor]:
        found = func(*tensors)
        results = found if several else [found]
        return [_of_dtype(t, d) for t, d in zip(results, dtypes, strict=True)]

    inputs = [convert_to_tensor(t) for t in inp]
    made = call_python("py_function", call, inputs) if tracing() else call(*inputs)
    return made if several else made[0]


def _of_dtype(value: Any, dtype: str) -> Tensor:
    return ops.cast(convert_to_tensor(value), dtype)


def numpy_function(func: Callable[..., Any], inp: Sequence[Any], Tout: Any) -> Any:
    """As `py_function`, with NumPy arrays for `func`."""
    return py_function(lambda *ts: func(*(t.numpy() for t in ts)), inp, Tout)
