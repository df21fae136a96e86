# SPDX-License-Identifier: Apache-2.0
"""The table of ops that can be read: op of ONNX -> function on tensors.

A function takes the node and the values of its inputs: tensors, NumPy arrays (what
does not depend on the model's inputs: shapes, axes, constants) or None for those left
out. It returns one value, or a tuple of several.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import FastnnError

_MODULES = """control elementwise images indexing matrices norms quantized
recurrent reductions resizing shapes""".split()

Reader = Callable[..., Any]
_READERS: dict[str, Reader] = {}
_CONSTANTS: dict[str, frozenset[int]] = {}
_IMAGES: dict[str, str] = {}


class UnsupportedError(FastnnError, NotImplementedError):
    """What a node asks for is not there."""


class Node:
    """What a reader is told beside the inputs.

    Attributes:
        op: its type.
        attrs: its attributes as Python values.
        opset: version of ONNX's ops in the file.
        outputs: how many outputs are read.
        scope: names around it, for graphs inside.
    """

    __slots__ = ("attrs", "op", "opset", "outputs", "scope")

    def __init__(
        self, op: str, attrs: dict[str, Any], opset: int, outputs: int
    ) -> None:
        self.op, self.attrs, self.opset, self.outputs = op, attrs, opset, outputs
        self.scope: Any = None

    def get(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def ints(self, name: str, value: Any = None) -> tuple[int, ...] | None:
        """Integers that are an input in newer files and an attribute in older ones."""
        if value is None:
            found = self.attrs.get(name)
            return None if found is None else tuple(found)
        return tuple(int(v) for v in np.ravel(host(value, self.op, name)))


def host(value: Any, op: str = "", what: str = "an input") -> np.ndarray:
    """An input whose elements must be known now.

    Raises:
        UnsupportedError: while a trace does not know them.
    """
    if isinstance(value, Tensor):
        if value._array is None:
            raise UnsupportedError(
                f"{what} of {op} depends on the model's inputs; it is known when the "
                f"model is called eagerly (run_eagerly=True) only"
            )
        return value._array
    return np.asarray(value)


def tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else convert_to_tensor(value)


def reads(
    *ops: str, constants: str = "", images: str = ""
) -> Callable[[Reader], Reader]:
    """Registers a function for ops.

    Args:
        ops: names in ONNX.
        constants: places of inputs that are no weights, whatever their dtype.
        images: what it does with channels kept last, `"own"`, `"each"` or `"shuffle"`:
            layout.py.
    """

    def register(function: Reader) -> Reader:
        for op in ops:
            _READERS[op] = function
            _CONSTANTS[op] = frozenset(map(int, constants.split()))
            _IMAGES[op] = images
        return function

    return register


@cache
def readers() -> dict[str, Reader]:
    """The whole table."""
    for module in _MODULES:
        import_module(f"fastnn.onnx.importing.{module}")
    return _READERS


def constant_places(op: str) -> frozenset[int]:
    """Inputs of an op that are no weights."""
    return _CONSTANTS.get(op, frozenset())


def takes_images(op: str) -> str:
    """What an op does with channels kept last; empty for nothing."""
    return _IMAGES.get(op, "")
