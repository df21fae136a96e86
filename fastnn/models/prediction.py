# SPDX-License-Identifier: Apache-2.0
"""`predict` on many rows: how many of them one call of a program takes.

The batch size bounds what a user's layer sees at once, not what a product may take:
where rows are worked on apart, many batches run as one (784-300-100-10, 1024 rows in
batches of 32: 32 calls take 1.19 times as long as one).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastnn import config, tree
from fastnn.graph.rows import rows_are_apart

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastnn.models.steps import Program

# So much memory may stand for one call: more falls out of the cache between layers.
MAX_ARENA = 4 << 20
# A program takes some milliseconds to make. It is made for so many batches at once, or
# for what is asked for the second time.
MANY_BATCHES = 64
MAX_KNOWN = 64


class Spans:
    """How many batches a program of `predict` takes at once, by what they look like.

    Args:
        program: `program(x)` is the program for a batch, or None.
    """

    def __init__(self, program: Callable[[Any], Program | None]) -> None:
        self._program = program
        self._known: dict[Any, int] = {}

    def rows(self, x: Any, batch_size: int, count: int) -> int:
        """Rows for each call on `count` rows of x: batches times a power of two."""
        batches = count // batch_size
        if batches < 2 or batch_size < 2:
            return batch_size
        power = 1 << (batches.bit_length() - 1)
        leaves = tuple((a.shape[1:], a.dtype) for a in tree.flatten(x))
        key = leaves, batch_size, power, config.floatx(), config.epsilon()
        seen = self._known.get(key)
        if seen is None and power < MANY_BATCHES:
            self._note(key, 0)
            return batch_size
        if not seen:
            seen = self._most(x, batch_size, power)
            self._note(key, seen)
        return seen * batch_size

    def _note(self, key: Any, batches: int) -> None:
        if len(self._known) >= MAX_KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[key] = batches

    def _most(self, x: Any, batch_size: int, power: int) -> int:
        one = self._program(rows_of(x, 0, batch_size))
        if one is None:
            return 1
        while power > 1 and one.plan.arena_bytes * power > MAX_ARENA:
            power //= 2
        if power == 1:
            return 1
        many = self._program(rows_of(x, 0, batch_size * power))
        if many is None or not rows_are_apart(one.plan.graph, many.plan.graph):
            return 1
        return power


def rows_of(x: Any, start: int, stop: int) -> Any:
    """Those rows of each array."""
    return tree.map_structure(lambda array: array[start:stop], x)
