# SPDX-License-Identifier: Apache-2.0
"""The declared input of a model: a shape without data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn._registry import export
from fastnn.backend import standardize_dtype
from fastnn.errors import ShapeError
from fastnn.layers.input_spec import InputSpec
from fastnn.layers.layer import Layer
from fastnn.symbolic.node import record
from fastnn.symbolic.tensor import KerasTensor


def _sizes(argument: str, shape: Any) -> tuple[int | None, ...]:
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    for size in sizes:
        if size is not None and (not isinstance(size, (int, np.integer)) or size < 1):
            raise ShapeError(
                f"[Input] {argument} must hold positive integers or None, "
                f"received {shape!r}."
            )
    return tuple(None if size is None else int(size) for size in sizes)


@export("keras.layers")
class InputLayer(Layer):
    """Holds the shape and dtype of a model's input; passes data through.

    Args:
        shape: shape of one sample, without the batch: `(28, 28)`.
        batch_size: fixed batch size; None accepts any.
        dtype: dtype that inputs are cast to, the default float dtype if None.
        batch_shape: the whole shape, in place of `shape` and `batch_size`.
        input_tensor: a symbolic tensor with the shape and dtype to declare.
        name: name of the input.
        sparse, ragged, optional: Keras's; only False and None are supported.
        **kwargs: `input_shape`, the old spelling of `shape`.
    """

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"sparse": sparse, "ragged": ragged, "optional": optional}
        for option, value in given.items():
            if value:
                raise ValueError(f"[InputLayer] {option}=True is not supported.")
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        shape = kwargs.pop("input_shape", shape)
        if batch_shape is None:
            batch_shape = kwargs.pop("batch_input_shape", None)
        super().__init__(name=name, **kwargs)
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                "[Input] give the shape of one sample, Input((784,)), or batch_shape="
                f"(None, 784); received shape={shape!r}, batch_shape={batch_shape!r}."
            )
        if batch_shape is None:
            assert shape is not None
            batch_shape = (batch_size, *_sizes("shape", shape))
        self.batch_shape = _sizes("batch_shape", batch_shape)
        # Of strings only a model's drawing and file tell: nothing computes with them.
        strings = dtype == "string"
        self._input_dtype = "string" if strings else standardize_dtype(dtype)
        self.input_spec = InputSpec(shape=self.batch_shape)
        self.built = True
        self._declare()

    def _declare(self) -> None:
        tensor = KerasTensor(self.batch_shape, self._input_dtype, name=self.name)
        record(self, (), {}, tensor)

    @property
    def output(self) -> KerasTensor:
        """The symbolic tensor that stands for the input."""
        if not self._inbound_nodes:  # a copy
            self._declare()
        tensor: KerasTensor = self._inbound_nodes[0].output_tensors[0]
        return tensor

    @property
    def dtype(self) -> str:
        """Dtype that the model's inputs are cast to."""
        return self._input_dtype

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape with the batch axis, `(None, 784)`."""
        return self.batch_shape

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self._input_dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }


def Input(  # noqa: N802 - Keras's public spelling
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """Declares an input of a model: a symbolic tensor.

    Args:
        shape: shape of one sample, without the batch: `(784,)`.
        batch_size: fixed batch size; None accepts any.
        dtype: dtype that inputs are cast to, the default float dtype if None.
        batch_shape: the whole shape, in place of `shape` and `batch_size`.
        name: name of the input.
        tensor: a symbolic tensor with the shape and dtype to declare.
        sparse, ragged, optional: Keras's; only False and None are supported.

    Raises:
        ShapeError: (a ValueError) for a shape that is none.
        ValueError: for one of the last three being True, or an unknown dtype.

    Example:
        >>> x = keras.Input((784,))
        >>> keras.Model(x, keras.layers.Dense(10)(x)).output_shape
        (None, 10)
        >>> keras.Sequential([x, keras.layers.Dense(10)]).output_shape
        (None, 10)
    """
    if shape is not None and not isinstance(shape, Sequence):
        raise ShapeError(
            f"[Input] shape must be a tuple such as ({shape},), received {shape!r}."
        )
    return InputLayer(
        shape,
        batch_size,
        dtype,
        sparse,
        ragged,
        batch_shape,
        tensor,
        optional,
        name,
    ).output


__all__ = ["Input", "InputLayer"]
