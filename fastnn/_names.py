# SPDX-License-Identifier: Apache-2.0
"""Automatic names of layers, models and variables: dense, dense_1, dense_2, ..."""

from __future__ import annotations

import re
import sys
from _thread import _local
from collections.abc import Callable, Sequence
from typing import Any

from fastnn._registry import export

_uids: dict[str, int] = {}
# Classes that Keras has under another name than the public one: its files show it.
_SPELLED = {"GroupQueryAttention": "grouped_query_attention"}


def to_snake_case(name: str) -> str:
    """`"GlobalAveragePooling2D"` -> `"global_average_pooling2d"`, as in Keras."""
    if name in _SPELLED:
        return _SPELLED[name]
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def uniquify(name: str) -> str:
    """`name` the first time, then `name_1`, `name_2`, ..."""
    count = _uids.get(name, 0)
    _uids[name] = count + 1
    return f"{name}_{count}" if count else name


def auto_name(prefix: str) -> str:
    """Next free name for an object of a class called `prefix`."""
    return uniquify(to_snake_case(prefix))


def get_uid(prefix: str = "") -> int:
    """Counts how often `prefix` was asked for: 1, 2, 3, ..."""
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


def reset_uids() -> None:
    """Starts all counters again, so that the next Dense is called `dense`."""
    _uids.clear()


class _Scopes(_local):
    def __init__(self) -> None:
        self.open: list[name_scope] = []


_scopes = _Scopes()
# How many layers the thread is building or calling; fastnn/layers/_call.py counts them.
layer_depth: list[Callable[[], int]] = [lambda: 0]


@export("keras")
class name_scope:  # noqa: N801  (Keras's name)
    """Context that puts a name before the paths of variables that are made in it.

    Args:
        name: one part of a path.
        caller: whoever opens it.
        deduplicate: whether a scope that the same caller opened last, under the same
            name, goes on instead of a new one.
        override_parent: a path to begin with, in place of the open scopes.

    Raises:
        ValueError: for a name that is no string, or has a "/".

    Example:
        >>> with keras.name_scope("encoder"):
        ...     dense = keras.layers.Dense(3)
        ...     dense.build((None, 2))
        >>> dense.kernel.path
        'encoder/dense/kernel'
    """

    def __init__(
        self,
        name: str,
        caller: Any = None,
        deduplicate: bool = True,
        override_parent: str | None = None,
    ) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"[name_scope] name must be a string without '/', received {name!r}."
            )
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        self.override_parent = override_parent
        self.depth = 0  # layers around it
        self._opened = False

    def __enter__(self) -> name_scope:
        opened = _scopes.open
        last = opened[-1] if opened and self.deduplicate else None
        known = last if self.caller is not None else None
        if known and known.caller is self.caller and known.name == self.name:
            return self
        self.depth = layer_depth[0]()
        opened.append(self)
        self._opened = True
        return self

    def __exit__(self, *exc: object) -> None:
        if self._opened:
            _scopes.open.pop()

    def _after(self, parts: list[str]) -> list[str]:
        if self.override_parent is not None:
            parts = [part for part in self.override_parent.split("/") if part]
        return [*parts, self.name]


def scoped(name: str) -> str:
    """Path of a variable that belongs to no layer."""
    parts: list[str] = []
    for scope in _scopes.open:
        parts = scope._after(parts)
    return "/".join([*parts, name])


def path_of(layers: Sequence[str]) -> str:
    """Names of layers, each inside the one before, and of the scopes around them.

    Args:
        layers: names by depth; "" for what has none of its own.
    """
    parts: list[str] = []
    for depth, name in enumerate([*layers, ""]):
        for scope in _scopes.open:
            if scope.depth == depth:
                parts = scope._after(parts)
        parts += [name] if name else []
    return "/".join(parts)


def clear_session(free_memory: bool = True) -> None:
    """Forgets what the process has named so far, for a notebook that starts again.

    free_memory: whether garbage is collected, and memory kept for results given back.
    """
    reset_uids()
    if free_memory:
        import gc

        from fastnn import config

        gc.collect()
        config.free_kept_memory()
        if "fastnn.autodiff.on_device" in sys.modules:
            sys.modules["fastnn.autodiff.on_device"].release()
