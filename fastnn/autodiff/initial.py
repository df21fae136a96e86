# SPDX-License-Identifier: Apache-2.0
"""What a variable begins with, said in Keras's way."""

from __future__ import annotations

from typing import Any

from fastnn import config
from fastnn._registry import find

_AGGREGATIONS = (None, "none", "mean", "sum", "only_first_replica")
_SYNCHRONIZATIONS = (None, "none", "on_read", "on_write", "auto")


def check_options(
    aggregation: Any, synchronization: Any, others: dict[str, Any]
) -> None:
    """Raises for arguments of `Variable` that nothing uses but that must be right.

    Raises:
        TypeError: for unknown arguments.
        ValueError: for values that Keras refuses.
    """
    unknown = sorted(others.keys() - {"initial_value", "constraint"})
    if unknown:
        raise TypeError(f"[Variable] unknown arguments: {', '.join(unknown)}.")
    for name, given, allowed in (
        ("aggregation", aggregation, _AGGREGATIONS),
        ("synchronization", synchronization, _SYNCHRONIZATIONS),
    ):
        if given not in allowed:
            raise ValueError(
                f"[Variable] {name} must be one of {', '.join(map(repr, allowed))}, "
                f"received {given!r}."
            )


def first_value(initializer: Any, shape: Any, dtype: str | None) -> Any:
    """What a variable holds at first, given as an array, a function or an initializer.

    Args:
        initializer: an array, a function of no arguments, an initializer, its class or
            its name.
        shape: for an initializer, or None.
        dtype: for an initializer; None is floatx().

    Raises:
        TypeError: without anything to begin with.
        ValueError: for an initializer without a shape, and one that does not exist.
    """
    if initializer is None:
        raise TypeError(
            "[Variable] needs an initial value: Variable(array), or "
            "Variable(initializer='zeros', shape=(2, 3))."
        )
    made, named = initializer, isinstance(initializer, (str, type))
    if isinstance(made, str):
        made = find(f"keras.initializers.{made}")
        if made is None:
            raise ValueError(f"[Variable] unknown initializer {initializer!r}.")
    if isinstance(made, type):
        made = made()
    if not callable(made):
        return made
    if shape is not None:
        return made(tuple(shape), dtype=dtype or config.floatx())
    if named or hasattr(made, "get_config"):
        raise ValueError(
            "[Variable] an initializer needs the shape: Variable(initializer, "
            "shape=(2, 3))."
        )
    return made()
