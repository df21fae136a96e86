# SPDX-License-Identifier: Apache-2.0
"""Automatic names of layers, models and variables: dense, dense_1, dense_2, ..."""

from __future__ import annotations

import re

_uids: dict[str, int] = {}


def to_snake_case(name: str) -> str:
    """`"GlobalAveragePooling2D"` -> `"global_average_pooling2d"`, as in Keras."""
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
