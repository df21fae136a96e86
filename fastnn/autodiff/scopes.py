# SPDX-License-Identifier: Apache-2.0
"""Contexts: computing now and not later, devices, symbolic calls."""

from __future__ import annotations

from _thread import _local
from collections.abc import Iterator
from contextlib import contextmanager

from fastnn._registry import export
from fastnn.autodiff._tape import state


class init_scope:  # noqa: N801  (TensorFlow's name)
    """Context in which ops run eagerly and unrecorded, also while tracing.

    Layers build their weights in it, so that an initializer's random ops are computed
    once instead of becoming part of the traced function.
    """

    def __enter__(self) -> None:
        current = state()
        self._saved = current.tracer, current.tapes
        current.tracer, current.tapes = None, []

    def __exit__(self, *exc: object) -> None:
        current = state()
        current.tracer, current.tapes = self._saved


@export("keras")
@contextmanager
def device(device_name: str) -> Iterator[None]:
    """Context in which tensors are made, and ops run, on a device.

    Args:
        device_name: `"cpu"` or `"cpu:0"`: there is no other device so far.

    Raises:
        ValueError: for another one, or what is no string.
    """
    if not isinstance(device_name, str):
        raise ValueError(
            "[device] device_name must be a string such as 'cpu:0', received "
            f"{device_name!r}."
        )
    plain = device_name.lower().rpartition("/")[2].removeprefix("device:")
    if plain not in ("cpu", "cpu:0"):
        raise ValueError(
            f"[device] the only device is 'cpu:0', received {device_name!r}: leave the "
            "context away, or write 'cpu:0'."
        )
    yield


class _Symbolic(_local):
    def __init__(self) -> None:
        self.scope: SymbolicScope | None = None


_symbolic = _Symbolic()


@export("keras")
class SymbolicScope:
    """Context that marks calls which find shapes and dtypes and compute nothing.

    Calls on symbolic tensors run in one; `in_symbolic_scope()` tells.
    """

    original_scope: SymbolicScope | None = None

    def __enter__(self) -> SymbolicScope:
        self.original_scope, _symbolic.scope = _symbolic.scope, self
        return self

    def __exit__(self, *exc: object) -> None:
        _symbolic.scope = self.original_scope


def in_symbolic_scope() -> bool:
    """Whether a `SymbolicScope` is open in this thread."""
    return _symbolic.scope is not None
