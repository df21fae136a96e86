# SPDX-License-Identifier: Apache-2.0
"""Values made of tensors and of something fixed, as arguments and results of functions.

Such a value (a ragged tensor: its elements, and where rows end) has
`__fastnn_parts__()`, which gives its tensors and a hashable function that makes the
value of such tensors again. To a traced function the tensors are inputs or outputs, and
the function is a Python value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fastnn import tree


class Apart(NamedTuple):
    """A value in its parts, in the structure of arguments."""

    tensors: tuple[Any, ...]
    rebuild: Callable[..., Any]


def is_composite(leaf: Any) -> bool:
    return hasattr(leaf, "__fastnn_parts__")


def apart(structure: Any) -> Any:
    """The structure with an `Apart` for every composite value."""
    return tree.map_structure(
        lambda leaf: Apart(*leaf.__fastnn_parts__()) if is_composite(leaf) else leaf,
        structure,
    )


def together(structure: Any) -> Any:
    """The structure with the value in place of every `Apart`."""
    return tree.traverse(
        lambda node: node.rebuild(*node.tensors) if isinstance(node, Apart) else None,
        structure,
    )


def unpacked(result: Any) -> tuple[Any, Callable[[Any], Any] | None]:
    """A result with the tensors of composite values in their place, and the function
    that puts what was computed back together (None: nothing to do).
    """
    leaves = tree.flatten(result)
    if not any(map(is_composite, leaves)):
        return result, None
    parts = [leaf.__fastnn_parts__() if is_composite(leaf) else None for leaf in leaves]
    flat = [
        leaf if part is None else list(part[0])
        for leaf, part in zip(leaves, parts, strict=True)
    ]
    makers = [None if part is None else part[1] for part in parts]
    form = tree.map_structure(lambda _: 0, result)

    def pack(found: list[Any]) -> Any:
        values = [
            value if make is None else make(*value)
            for value, make in zip(found, makers, strict=True)
        ]
        return tree.pack_sequence_as(form, values)

    return flat, pack
