# SPDX-License-Identifier: Apache-2.0
"""Notices that a layer has changed, so that plans traced from it are traced again."""

from __future__ import annotations

from typing import Any, ClassVar

from fastnn.autodiff._tape import state as trace_state
from fastnn.layers import _call, _tracking

# Changes of any layer: whoever runs a model looks at it again when this has moved.
count = 0

_MISSING = object()
_SCALARS = {str, int, float, bool, type(None)}


def note() -> None:
    """Something changed that no layer's own version tells, such as `trainable`."""
    global count
    count += 1


class ChangesMixin:
    """Gives each layer a version, raised when an attribute gets another value.

    What a call leaves behind in an attribute is a result and raises nothing.
    """

    _version = 0
    # Names of attributes that no plan depends on.
    _unplanned: ClassVar[frozenset[str]] = frozenset()
    # Whether layers stand in the order in which they came; else as attributes do.
    _orders = True

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name, _MISSING)
        super().__setattr__(name, value)
        if _same(old, value):
            return
        if self._orders:
            _tracking.note(self, name, value)
        if name not in self._unplanned:
            self._changed()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._changed()

    def _changed(self) -> None:
        if not _call.state.stack and trace_state().tracer is None:
            self.__dict__["_version"] = self._version + 1
            note()


def _same(old: Any, new: Any) -> bool:
    return old is new or (
        type(old) is type(new) and type(old) in _SCALARS and bool(old == new)
    )
