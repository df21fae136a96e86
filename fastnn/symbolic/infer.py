# SPDX-License-Identifier: Apache-2.0
"""Shapes and dtypes that a function gives for symbolic tensors, by tracing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn import tree
from fastnn.autodiff._tape import state
from fastnn.autodiff.scopes import SymbolicScope
from fastnn.autodiff.tensor import Tensor
from fastnn.graph.trace import Tracer
from fastnn.opset import Spec
from fastnn.symbolic.tensor import KerasTensor, Shape, symbolic_leaves

# What open axes stand for, one trace each: axes that differ are open in the result.
# Primes that are no usual size, and large enough for windows and strides.
SIZES = (83, 89)


def filled(shape: Shape, size: int) -> tuple[int, ...]:
    """The shape with every open axis of one size."""
    return tuple(size if n is None else n for n in shape)


def infer(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What `function(*args, **kwargs)` returns, with symbolic tensors for tensors.

    Nothing is computed. Leaves that are no tensors come back as they are (None where
    they depend on an open axis).

    Raises:
        Whatever the function raises, with a note that says which sizes were assumed.
    """
    tensors = symbolic_leaves(args, kwargs)
    opened = any(None in tensor.shape for tensor in tensors)
    results = [
        _traced(function, args, kwargs, size) for size in SIZES[: 2 if opened else 1]
    ]
    return tree.map_structure(_merge, *results)


def _traced(function: Callable[..., Any], args: Any, kwargs: Any, size: int) -> Any:
    current = state()
    tapes, current.tapes = current.tapes, []
    try:
        with Tracer("symbolic call") as tracer, SymbolicScope():

            def stand_in(leaf: Any) -> Any:
                if not isinstance(leaf, KerasTensor):
                    return leaf
                spec = Spec(filled(leaf.shape, size), leaf.dtype)
                return tracer.tensor(tracer.graph.add_input(spec))

            inner_args, inner_kwargs = tree.map_structure(stand_in, (args, kwargs))
            return tree.map_structure(_describe, function(*inner_args, **inner_kwargs))
    except Exception as error:
        shapes = ", ".join(str(t.shape) for t in symbolic_leaves(args, kwargs))
        error.add_note(
            f"while finding the output shape for {shapes}; {size} stands for None"
        )
        raise
    finally:
        current.tapes = tapes


class _Found:
    """Shape and dtype of one result; no tuple, which would be a structure."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape = shape
        self.dtype = dtype


def _describe(leaf: Any) -> Any:
    return _Found(leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf


def _merge(first: Any, second: Any = None) -> Any:
    second = first if second is None else second
    if not isinstance(first, _Found):
        return first if first == second else None
    pairs = zip(first.shape, second.shape, strict=True)
    return KerasTensor([m if m == n else None for m, n in pairs], first.dtype)
