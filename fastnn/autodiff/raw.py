# SPDX-License-Identifier: Apache-2.0
"""Every op of the registry as a strict function: `raw.add(x1, x2)`.

No promotion between tensors; Python numbers adapt to the tensors beside them. This is
what gradients (`c.op`) and layers use; `fastnn.ops` is the promoting public face.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.autodiff._arrays import check_fits
from fastnn.autodiff._attributes import converters
from fastnn.autodiff._tape import apply
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import DTypeError
from fastnn.opset import OpDef, all_ops, get_op
from fastnn.opset._dtypes import is_float


def scalar_like(name: str, value: Any, dtype: str) -> Tensor:
    """A Python number or array-like as a tensor of `dtype`, if that loses no kind."""
    array = np.asarray(value)
    if not is_float(dtype):
        kind = array.dtype.kind
        if kind == "O" and isinstance(value, int):  # beyond 64 bits
            raise DTypeError(f"[{name}] {value} does not fit {dtype}")
        if kind in "fcO":
            raise DTypeError(
                f"[{name}] cannot use {value!r} with an {dtype} tensor: cast the "
                f'tensor first, cast(x, "float32")'
            )
        if kind in "iu":
            check_fits(name, array, dtype)
    return Tensor(array.astype(dtype))


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
    count = len(op.inputs)
    plain = not op.attrs
    convert = converters(op)

    def function(*args: Any, **kwargs: Any) -> Any:
        values = args[:count]
        for value in values:
            if not isinstance(value, Tensor):
                values = as_tensors(op, values)
                break
        if plain and not kwargs and len(args) <= count:
            return apply(op, values)
        attrs = op.bind_attrs(args[count:], kwargs)
        if values:
            rank = len(values[0]._shape)
            attrs = tuple(
                [f(op.name, v, rank) for f, v in zip(convert, attrs, strict=True)]
            )
        return apply(op, values, attrs)

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
