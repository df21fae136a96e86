# SPDX-License-Identifier: Apache-2.0
"""When Python should not search for cyclic garbage."""

from __future__ import annotations

import gc
import os
from types import TracebackType

_inside: set[Uncollected] = set()  # those who will switch the collector on again


class Uncollected:
    """Context for short work that makes many objects which stay: imports, plans.

    Python looks for garbage after every 700 objects more, each time in more of them:
    a fifth of the time of `from fastnn import Sequential`, and a third of that to the
    first step of a small model, when nothing of it is garbage.

    Args:
        stays: what was made inside lives as long as the process, as modules do: the
            collector takes it for old at once, without walking it first (4 of the 35
            ms of `from fastnn import Sequential`).
    """

    __slots__ = ("_stays", "_was_on")

    def __init__(self, stays: bool = False) -> None:
        self._stays = stays

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        if self._was_on:
            _inside.add(self)
        gc.disable()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._was_on:
            # What the user froze would come back with the rest.
            if self._stays and not gc.get_freeze_count():
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()
            _inside.discard(self)


def _after_fork() -> None:
    """Who was inside in another thread does not come back in this process."""
    if _inside:
        _inside.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)
