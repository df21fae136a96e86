# SPDX-License-Identifier: Apache-2.0
"""Which objects of a model are saved, and under which paths: those of Keras 3.

The layers of a Sequential or functional model come first, numbered by class in the
order of `model.layers`; then every object goes by the attribute that holds it, private
ones last, and `layers` is an attribute of every model. What is met twice is saved where
it was met first (Keras's `saving_lib._walk_saveable`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

from fastnn._names import to_snake_case

_PROPERTIES = (property, cached_property)


def is_saveable(value: Any) -> bool:
    """Whether an object has variables of its own to save, or holds others that do."""
    return hasattr(type(value), "save_own_variables")


def saveables(root: Any, properties: bool = True) -> dict[str, Any]:
    """Path -> object, for `root` (the empty path) and all below it, parents first.

    Args:
        root: a model, layer or optimizer.
        properties: False gives the paths of Keras 2.13 to 2.15, to which what a
            subclassed model's `layers` shows was known by its attributes alone.
    """
    walk = _Visit(properties)
    walk.visit(root, "")
    return walk.found


class _Visit:
    def __init__(self, properties: bool) -> None:
        self.found: dict[str, Any] = {}
        self._properties = properties
        self._seen: dict[int, Any] = {}

    def _first(self, value: Any) -> bool:
        if id(value) in self._seen:
            return False
        self._seen[id(value)] = value  # kept, or another one might get its id
        return True

    def visit(self, obj: Any, path: str) -> None:
        if not self._first(obj):
            return
        self.found[path] = obj
        for name, value in _children(obj, self._properties):
            place = f"{path}/{name}" if path else name
            if is_saveable(value):
                self.visit(value, place)
            elif isinstance(value, (list, tuple, dict)):
                self._visit_container(value, place)

    def _visit_container(self, container: Any, path: str) -> None:
        if not self._first(container):
            return
        items = container.values() if isinstance(container, dict) else container
        used: dict[str, int] = {}
        for item in list(items):
            if is_saveable(item):
                name = _numbered(to_snake_case(type(item).__name__), used)
                self.visit(item, f"{path}/{name}")
            elif isinstance(item, (list, tuple, dict)):
                self._visit_container(item, f"{path}/{_numbered('container', used)}")


def _numbered(name: str, used: dict[str, int]) -> str:
    count = used.get(name, 0)
    used[name] = count + 1
    return f"{name}_{count}" if count else name


def _children(obj: Any, properties: bool) -> Iterator[tuple[str, Any]]:
    """(name, value) in Keras's order: listed layers, then public attributes by name.

    `layers` of a model is among these. So a subclassed one finds there what names after
    it hold: its `conv` is saved as `conv`, its `out` as `layers/dense`.
    """
    listed = getattr(obj, "_listed_layers", None)
    if listed is not None:
        yield "layers", listed
    named = _named(obj)
    shown = set(_shown(type(obj))) if properties else set()
    for name in sorted({*named, *shown}, key=_private_last):
        if name not in shown:
            yield name, named[name]
            continue
        with suppress(Exception):  # a property that has nothing to show yet
            yield name, getattr(obj, name)


def _private_last(name: str) -> str:
    return f"~{name}" if name[:1] == "_" else name


def _named(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    unsaved: frozenset[str] = getattr(cls, "_unsaved", frozenset())
    return {
        _public(cls, name): value
        for name, value in vars(obj).items()
        if name not in unsaved
    }


def _shown(cls: type) -> Iterator[str]:
    """`layers` of models, and what classes of the program's own define as properties or
    keep for all their objects.
    """
    for base in cls.__mro__:
        if base.__module__.partition(".")[0] == "fastnn":
            continue
        for name, value in vars(base).items():
            own = isinstance(value, _PROPERTIES) or is_saveable(value)
            if own and not name.startswith("__"):
                yield name
    if hasattr(cls, "_listed_layers"):
        yield "layers"


def _public(cls: type, name: str) -> str:
    """The property that shows a private attribute, as Keras meets that first."""
    if name.startswith("_") and isinstance(getattr(cls, name[1:], None), property):
        return name[1:]
    return name
