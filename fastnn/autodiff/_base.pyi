# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np

class TensorBase:
    _id: int
    _array: Any
    _host: Any
    _remote: Any
    _value: Any
    _shape: tuple[int, ...]
    _dtype: str
    _code: int
    _logits: Any
    _keras_mask: Any
    _watch: bool
    _is_variable: bool
    _shared: bool
    def __init__(
        self,
        array: np.ndarray[Any, Any] | None = None,
        value: Any = None,
        shape: tuple[int, ...] | None = None,
        dtype: str | None = None,
    ) -> None: ...
    def _alias(self) -> Any: ...

def device_tensor(remote: Any, shape: tuple[int, ...], dtype: str) -> Any: ...
def fresh_id() -> int: ...
def set_tensor_class(cls: type) -> None: ...
