# SPDX-License-Identifier: Apache-2.0
"""Which objects of a model are saved, and under which paths: those of Keras 3.

The layers of a Sequential or functional model come first, numbered by class in the
order of `model.layers`; then every object goes by the attribute that holds it, private
ones last. What is met twice is saved where it was met first (Keras's
`saving_lib._walk_saveable`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastnn._names import to_snake_case


def is_saveable(value: Any) -> bool:
    """Whether an object has variables of its own to save, or holds others that do."""
    return hasattr(type(value), "save_own_variables")


def saveables(root: Any) -> dict[str, Any]:
    """Path -> object, for `root` (the empty path) and all below it, parents first."""
    found: dict[str, Any] = {}
    _visit(root, "", found, {})
    return found


def _visit(obj: Any, path: str, found: dict[str, Any], seen: dict[int, Any]) -> None:
    if id(obj) in seen:
        return
    seen[id(obj)] = obj  # kept, or another one might get its id
    found[path] = obj
    for name, value in _children(obj):
        place = f"{path}/{name}" if path else name
        if is_saveable(value):
            _visit(value, place, found, seen)
        elif isinstance(value, (list, tuple, dict)):
            _visit_container(value, place, found, seen)


def _visit_container(
    container: Any, path: str, found: dict[str, Any], seen: dict[int, Any]
) -> None:
    if id(container) in seen:
        return
    seen[id(container)] = container
    items = container.values() if isinstance(container, dict) else container
    used: dict[str, int] = {}
    for item in list(items):
        if is_saveable(item):
            name = _numbered(to_snake_case(type(item).__name__), used)
            _visit(item, f"{path}/{name}", found, seen)
        elif isinstance(item, (list, tuple, dict)):
            _visit_container(
                item, f"{path}/{_numbered('container', used)}", found, seen
            )


def _numbered(name: str, used: dict[str, int]) -> str:
    count = used.get(name, 0)
    used[name] = count + 1
    return f"{name}_{count}" if count else name


def _children(obj: Any) -> Iterator[tuple[str, Any]]:
    listed = getattr(obj, "_listed_layers", None)
    if listed is not None:
        yield "layers", listed
    unsaved: frozenset[str] = getattr(type(obj), "_unsaved", frozenset())
    named = {
        _public(type(obj), name): value
        for name, value in vars(obj).items()
        if name not in unsaved
    }
    for name in sorted(named, key=lambda name: f"~{name}" if name[:1] == "_" else name):
        yield name, named[name]


def _public(cls: type, name: str) -> str:
    """The property that shows a private attribute, as Keras meets that first."""
    if name.startswith("_") and isinstance(getattr(cls, name[1:], None), property):
        return name[1:]
    return name
