# SPDX-License-Identifier: Apache-2.0
"""Finds variables, layers, metrics and seed generators among an object's attributes.

Nothing is registered when an attribute is set: each question walks the attributes (and
the lists, tuples, sets and dicts among them) again, so a list that grew later, a
deleted attribute or a replaced layer can never leave a stale entry behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType
from typing import Any, TypeVar, overload

import numpy as np

T = TypeVar("T")

# Types that hold nothing, by the kind looked for. With them skipped, and layers
# and metrics looked for at once, the metrics of an MLP of three layers take 33 us
# instead of 88.
_PLAIN = {str, int, float, bool, type(None), np.ndarray, FunctionType}
_skipped: dict[Any, set[type]] = {}


class Untracked:
    """Hides what a layer only remembers, such as the arguments it was made with."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _search(
    values: Iterable[Any],
    kind: Any,
    skip: set[type],
    found: dict[int, Any],
    seen: set[int],
) -> None:
    for value in values:
        cls = type(value)
        if cls in skip:
            continue
        if isinstance(value, kind):
            found.setdefault(id(value), value)
        elif isinstance(value, (list, tuple, set, frozenset, dict)):
            if value and id(value) not in seen:
                seen.add(id(value))
                items = value.values() if isinstance(value, dict) else value
                _search(items, kind, skip, found, seen)
        elif cls.__module__.startswith("fastnn."):  # others' classes may be short-lived
            skip.add(cls)


@overload
def tracked(owner: object, kind: type[T]) -> list[T]: ...


@overload
def tracked(owner: object, kind: tuple[type, ...]) -> list[Any]: ...


def tracked(owner: object, kind: Any) -> list[Any]:
    """Instances of `kind` held by `owner`'s attributes, each once, in order of setting.

    The search enters containers, not other objects.
    """
    skip = _skipped.get(kind)
    if skip is None:
        skip = _skipped[kind] = set(_PLAIN)
    found: dict[int, Any] = {}
    _search(vars(owner).values(), kind, skip, found, set())
    return list(found.values())


def unique(items: Iterable[T]) -> list[T]:
    """The items without repeated objects (by identity), in order."""
    return list({id(item): item for item in items}.values())
