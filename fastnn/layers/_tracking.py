# SPDX-License-Identifier: Apache-2.0
"""Finds variables, layers, metrics and seed generators among an object's attributes.

No layer is registered when an attribute is set: each question walks the attributes (and
the lists, tuples, sets and dicts among them) again, so a list that grew later, a
deleted attribute or a replaced layer can never leave a stale entry behind. Only times
are noted, of setting an attribute and of making a layer: what joined a list after
another attribute was set comes after that one, as in Keras, whose files and optimizers
go by that order.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
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
    noted = vars(owner).get("_noted")
    items = list(found.values())
    return items if noted is None else noted.value.ordered(vars(owner), items)


# ---- the order of layers -----------------------------------------------------------

# Counts what layers are made and which attributes are set to layers or containers.
clock = itertools.count(1).__next__
_GROWING = {"_weights", "_losses"}  # of every layer, and without layers
_BOXES = (list, tuple, dict)  # sets have no order


def note(owner: object, name: str, value: Any) -> None:
    """Notes when an attribute was set to a layer, or to what may hold layers."""
    size = len(value) if isinstance(value, _BOXES) else -1
    if (size >= 0 or _is_layer(value)) and name not in _GROWING:
        values = vars(owner)
        if "_noted" not in values:
            values["_noted"] = Untracked(Noted())
        values["_noted"].value.set(name, size)


class Noted:
    """When attributes were set to layers and containers, so when layers came."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._known: dict[tuple[int, ...], list[int]] = {}

    def set(self, name: str, size: int) -> None:
        """An attribute is set; to a container of that size, or to a layer (-1)."""
        self._at[name] = clock()
        self._sizes.pop(name, None)
        if size >= 0:
            self._sizes[name] = size
        self._known.clear()

    def ordered(self, values: dict[str, Any], items: list[Any]) -> list[Any]:
        """What was found in the order of attributes, in the order in which it came."""
        if not self._sizes or not self._grown(values):
            return items
        key = tuple(map(id, items))
        order = self._known.get(key)
        if order is None:
            times = self._joined(values)
            order = sorted(range(len(key)), key=lambda i: times.get(key[i], 0))
            if len(self._known) > 8:
                self._known.clear()
            self._known[key] = order
        return [items[i] for i in order]

    def _grown(self, values: dict[str, Any]) -> bool:
        """Whether a container holds more than when it was set."""
        for name, size in self._sizes.items():
            value = values.get(name)
            if isinstance(value, _BOXES) and len(value) > size:
                return True
        return False

    def _joined(self, values: dict[str, Any]) -> dict[int, int]:
        """When each layer came, by id: one made after its list was set came then, those
        behind it later.
        """
        found: dict[int, int] = {}
        at = 0
        for name, value in values.items():
            last = at = self._at.get(name, at)
            for item in _layers_in(value, set()):
                last = max(last, item._born)
                found[id(item)] = min(found.get(id(item), last), last)
        return found


def _is_layer(value: Any) -> bool:
    return "_born" in getattr(value, "__dict__", ())


def _layers_in(value: Any, seen: set[int]) -> Iterator[Any]:
    if _is_layer(value):
        yield value
    elif isinstance(value, _BOXES) and id(value) not in seen:
        seen.add(id(value))
        for item in value.values() if isinstance(value, dict) else value:
            yield from _layers_in(item, seen)


def unique(items: Iterable[T]) -> list[T]:
    """The items without repeated objects (by identity), in order."""
    return list({id(item): item for item in items}.values())
