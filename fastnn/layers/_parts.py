# SPDX-License-Identifier: Apache-2.0
"""Constructor arguments that are initializers, regularizers, constraints, activations.

What an argument is follows from the last word of its name.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from fastnn._lazy import load_module
from fastnn.errors import ShapeError
from fastnn.layers.input_spec import format_shape

_KINDS = ("activation", "constraint", "initializer", "regularizer")


@cache
def _kind(name: str) -> Any:
    word = name.rpartition("_")[2]
    return load_module(f"fastnn.{word}s") if word in _KINDS else None


def find(name: str, value: Any) -> Any:
    """What an argument of this name stands for: its object, for names and configs."""
    if value is None and not name.endswith("activation"):
        return None  # and its module need not be loaded
    kind = _kind(name)
    return value if kind is None else kind.get(value)


def keep(layer: Any, **arguments: Any) -> None:
    """Sets attributes of the arguments' names; names of functions become objects."""
    for name, value in arguments.items():
        setattr(layer, name, find(name, value))


def config_of(layer: Any, names: str) -> dict[str, Any]:
    """Attributes as plain data, for `get_config`.

    Args:
        layer: the layer.
        names: attributes, separated by spaces.
    """
    config = {}
    for name in names.split():
        value = getattr(layer, name)
        kind = None if value is None else _kind(name)
        config[name] = value if kind is None else kind.serialize(value)
    return config


def add_weight(
    layer: Any, name: str, shape: Any, part: str | None = None, autocast: bool = True
) -> Any:
    """A weight with the initializer, regularizer and constraint kept for it.

    Args:
        layer: the layer, which has `<part>_initializer` and so on.
        name: the weight's name.
        shape: its shape.
        part: what the arguments' names begin with, `name` by default.
        autocast: whether calls read it in the compute dtype.
    """
    part = part or name
    return layer.add_weight(
        shape,
        getattr(layer, f"{part}_initializer"),
        autocast=autocast,
        regularizer=getattr(layer, f"{part}_regularizer"),
        constraint=getattr(layer, f"{part}_constraint"),
        name=name,
    )


def refuse(layer: Any, **options: Any) -> None:
    """Arguments of Keras that fastnn does not have must be off.

    Raises:
        NotImplementedError: for one that is not.
    """
    for name, value in options.items():
        if value:
            raise NotImplementedError(
                f"[{type(layer).__name__}] {name}={value!r} is not supported: leave it "
                "out."
            )


def positive(layer: str, name: str, value: Any) -> int:
    """A positive integer.

    Raises:
        ValueError: for anything else.
    """
    is_int = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not is_int or value < 1:
        raise ValueError(
            f"[{layer}] {name} must be a positive integer, received {value!r}."
        )
    return int(value)


def known_size(layer: Any, shape: Any, axis: int) -> int:
    """Size of an axis that weights depend on.

    Raises:
        ShapeError: when there is no such axis, or its size is open.
    """
    rank = len(shape)
    size = shape[axis] if -rank <= axis < rank else None
    if size is None:
        place = "the last axis" if axis in (-1, rank - 1) else f"axis {axis}"
        raise ShapeError(
            f"[{type(layer).__name__}] layer '{layer.name}' needs the size of {place}; "
            f"received shape {format_shape(shape)}."
        )
    return int(size)
