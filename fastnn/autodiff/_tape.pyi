# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np

from fastnn.opset import OpDef, Spec

class TensorBase:
    _id: int
    _array: Any
    _value: Any
    _shape: tuple[int, ...]
    _dtype: str
    _logits: Any
    _watch: bool
    _is_variable: bool
    def __init__(
        self,
        array: np.ndarray[Any, Any] | None = None,
        value: Any = None,
        shape: tuple[int, ...] | None = None,
        dtype: str | None = None,
    ) -> None: ...

class _State:
    tracer: Any
    tapes: list[Tape]

class Record:
    op: Any
    attrs: tuple[Any, ...]
    in_ids: tuple[int, ...]
    out_ids: tuple[int, ...]
    specs: tuple[Spec, ...]
    saved: tuple[Any, ...]

class Tape:
    records: list[Record]
    watched: set[int]
    paused: bool
    auto_watch: bool
    def __init__(self, auto_watch: bool = True) -> None: ...
    def watch(self, tensor: TensorBase) -> None: ...
    def clear(self) -> None: ...
    def backward(
        self, grads: dict[int, Any], keep: set[int], make_context: Any, accumulate: Any
    ) -> None: ...

def apply(op: OpDef, inputs: tuple[Any, ...], attrs: tuple[Any, ...] = ()) -> Any: ...
def encode_attrs(op: OpDef, attrs: tuple[Any, ...]) -> list[Any]: ...
def fresh_id() -> int: ...
def infer_specs(
    op: OpDef, inputs: tuple[Any, ...], attrs: tuple[Any, ...]
) -> list[Spec]: ...
def record_custom(op: Any, inputs: tuple[Any, ...], outputs: list[Any]) -> None: ...
def set_tensor_class(cls: type) -> None: ...
def state() -> _State: ...
