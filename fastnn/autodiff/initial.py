# SPDX-License-Identifier: Apache-2.0
"""What a variable begins with, said in Keras's way."""

from __future__ import annotations

from typing import Any

from fastnn import config
from fastnn._registry import find

# Keras's arguments beside those that TensorFlow has too, TensorFlow's `constraint`,
# and what they may be.
_ACCEPTED: dict[str, Any] = {
    "initializer": None,
    "shape": None,
    "autocast": (True, False),
    "aggregation": (None, "none", "mean", "sum", "only_first_replica"),
    "synchronization": (None, "none", "on_read", "on_write", "auto"),
    "layout": None,
    "constraint": None,
}


def from_keras(
    value: Any, trainable: Any, dtype: str | None, options: dict[str, Any]
) -> tuple[Any, bool]:
    """(initial value, trainable) of `Variable(initializer, shape, dtype, ...)`.

    Args:
        value: an initial value, initializer or its name; None when `options` has one.
        trainable: as given, or the shape in its place: Keras's second argument.
        dtype: of the variable, or None.
        options: Keras's own arguments.

    Raises:
        TypeError: for unknown arguments, and without anything to begin with.
        ValueError: for an initializer without a shape, and values that Keras refuses.
    """
    unknown = sorted(options.keys() - _ACCEPTED.keys())
    if unknown:
        raise TypeError(f"[Variable] unknown arguments: {', '.join(unknown)}.")
    for name, given in options.items():
        allowed = _ACCEPTED[name]
        if allowed is not None and given not in allowed:
            raise ValueError(
                f"[Variable] {name} must be one of {', '.join(map(repr, allowed))}, "
                f"received {given!r}."
            )
    shape = options.get("shape")
    if isinstance(trainable, (tuple, list)):
        shape, trainable = trainable, True
    value = options.get("initializer", value)
    if value is None:
        raise TypeError(
            "[Variable] needs an initial value: Variable(array), or "
            "Variable(initializer='zeros', shape=(2, 3))."
        )
    named = isinstance(value, str)
    if named:
        name, value = value, find(f"keras.initializers.{value}")
        if value is None:
            raise ValueError(f"[Variable] unknown initializer {name!r}.")
    if isinstance(value, type):
        value = value()
    if callable(value) and (named or shape is not None or "initializer" in options):
        if shape is None:
            raise ValueError(
                "[Variable] an initializer needs the shape: Variable(initializer, "
                "shape=(2, 3))."
            )
        value = value(tuple(shape), dtype=dtype or config.floatx())
    return value, trainable
