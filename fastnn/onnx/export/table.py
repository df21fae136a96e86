# SPDX-License-Identifier: Apache-2.0
"""The table of ops that can be written: op of fastnn -> function that writes it.

A function takes the emitter and the step, and gives every output that is used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from fastnn.onnx.export.open_sizes import is_open

if TYPE_CHECKING:
    from fastnn.onnx.export.emitter import Emitter
    from fastnn.onnx.export.open_sizes import Step

_MODULES = (
    "images indexing norms pointwise products recurrent reductions shapes".split()
)

Writer = Callable[["Emitter", "Step"], None]
_WRITERS: dict[str, Writer] = {}
_OPENS: dict[str, frozenset[str]] = {}


def writes(*ops: str, opens: str = "") -> Callable[[Writer], Writer]:
    """Registers a function for ops; `opens` are attributes that may have open sizes."""

    def register(function: Writer) -> Writer:
        for op in ops:
            _WRITERS[op] = function
            _OPENS[op] = frozenset(opens.split())
        return function

    return register


def writers() -> dict[str, Writer]:
    """The whole table."""
    for module in _MODULES:
        import_module(f"fastnn.onnx.export.{module}")
    return _WRITERS


def fixed_attributes(step: Step) -> bool:
    """Whether open sizes stand only where the op's writer expects them."""
    allowed = _OPENS[step.op]
    return not any(is_open(v) for k, v in step.attrs.items() if k not in allowed)
