# SPDX-License-Identifier: Apache-2.0
"""Every op of the registry as a strict function: `raw.add(x1, x2)`.

No promotion between tensors; Python numbers adapt to the tensors beside them. This is
what gradients (`c.op`) and layers use; `fastnn.ops` is the promoting public face.
"""

from __future__ import annotations

from typing import Any

from fastnn.autodiff._attributes import converters
from fastnn.autodiff._calls import strict
from fastnn.autodiff.tensor import Tensor, convert_to_tensor, scalar_like
from fastnn.opset import OpDef, all_ops, get_op


def as_tensors(op: OpDef, values: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Operands as tensors; numbers take the dtype of the first tensor."""
    reference = None
    for value in values:
        if isinstance(value, Tensor):
            reference = value.dtype
            if reference != "bool":
                break
    if reference is None:
        return tuple(convert_to_tensor(v) for v in values)
    return tuple(
        v if isinstance(v, Tensor) else scalar_like(op.name, v, reference)
        for v in values
    )


def _function(op: OpDef) -> Any:
    function = strict(op, converters(op), as_tensors)
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.doc
    return function


def __getattr__(name: str) -> Any:
    try:
        function = _function(get_op(name))
    except KeyError:
        raise AttributeError(f"[raw] no op is called {name!r}") from None
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    return sorted(all_ops())
