# SPDX-License-Identifier: Apache-2.0
from typing import Any

from fastnn.autodiff._launch import TensorBase
from fastnn.opset import OpDef

class _State:
    tracer: Any
    tapes: list[Tape]
    autocast: str | None
    stateless: Any

class Record:
    op: Any
    attrs: tuple[Any, ...]
    in_ids: tuple[int, ...]
    out_ids: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    saved: tuple[Any, ...]

class ContextBase:
    def needs(self, name: str) -> bool: ...
    def shape_of(self, name: str) -> tuple[int, ...]: ...
    def dtype_of(self, name: str) -> str: ...
    def unbroadcast(self, dy: Any, name: str) -> Any: ...

class Tape:
    records: list[Record]
    watched: set[int]
    paused: bool
    auto_watch: bool
    def __init__(self, auto_watch: bool = True) -> None: ...
    def watch(self, tensor: TensorBase) -> None: ...
    def clear(self) -> None: ...
    def backward(
        self, grads: dict[int, Any], keep: set[int], accumulate: Any
    ) -> None: ...

def apply(op: OpDef, inputs: tuple[Any, ...], attrs: tuple[Any, ...] = ()) -> Any: ...
def record_custom(op: Any, inputs: tuple[Any, ...], outputs: list[Any]) -> None: ...
def set_context_class(cls: type[ContextBase]) -> None: ...
def state() -> _State: ...
