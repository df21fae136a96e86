# SPDX-License-Identifier: Apache-2.0
"""Attributes of the strict functions in the form that kernels and shape rules expect.

Apart from `raw`, whose globals become ops and hide the builtins of their names.
"""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np

from fastnn.errors import DTypeError
from fastnn.opset import OpDef
from fastnn.opset._dtypes import CODES
from fastnn.opset._opdef import Attr


def converters(op: OpDef) -> tuple[Any, ...]:
    """Per attribute of `op` a function of (op name, value, rank of the first operand).

    It returns the canonical value, or raises ValueError (an axis out of range or named
    twice, a list that is no permutation, an unknown choice) or DTypeError.
    """
    return tuple(
        _BY_NAME.get(a.name) or _BY_KIND.get(a.kind) or _choice(a) for a in op.attrs
    )


def _axis(name: str, value: Any, rank: int) -> int:
    axis = index(value)
    if not -rank <= axis < rank:
        raise ValueError(f"[{name}] axis {axis} is out of range for rank {rank}")
    return axis % rank


def _axes(name: str, value: Any, rank: int) -> tuple[int, ...]:
    if type(value) is tuple:  # canonical already, as gradients and ops give them
        last = -1
        for v in value:
            if type(v) is not int or not last < v < rank:
                break
            last = v
        else:
            return value
    if not isinstance(value, (tuple, list)):
        value = (value,)
    axes = tuple(sorted([_axis(name, v, rank) for v in value]))
    if len(set(axes)) != len(axes):
        raise ValueError(f"[{name}] axes {value} name an axis twice")
    return axes


def _perm(name: str, value: Any, rank: int) -> tuple[int, ...]:
    perm = tuple([_axis(name, v, rank) for v in value])
    if sorted(perm) != list(range(rank)):
        raise ValueError(f"[{name}] {value} is no permutation of {rank} axes")
    return perm


def _shape(name: str, value: Any, rank: int) -> tuple[int, ...]:
    shape = tuple([index(v) for v in value])
    if shape and min(shape) < 0:
        raise ValueError(f"[{name}] shape {shape} has a negative size")
    return shape


def _slices(name: str, value: Any, rank: int) -> tuple[tuple[Any, ...], ...]:
    if len(value) != rank:
        raise ValueError(f"[{name}] needs {rank} slices, received {len(value)}")
    return tuple([tuple(s) for s in value])


def _dtype(name: str, value: Any, rank: int) -> str:
    dtype = value if isinstance(value, str) else np.dtype(value).name
    if dtype not in CODES:
        raise DTypeError(
            f"[{name}] dtype {dtype} is not supported; supported: {', '.join(CODES)}"
        )
    return dtype


def _float(name: str, value: Any, rank: int) -> float:
    return float(value)


def _bool(name: str, value: Any, rank: int) -> bool:
    return bool(value)


def _ints(name: str, value: Any, rank: int) -> tuple[int, ...]:
    return tuple([index(v) for v in value])


def _choice(attr: Attr) -> Any:
    def convert(name: str, value: Any, rank: int) -> Any:
        if attr.kind == "enum" and value not in attr.choices:
            raise ValueError(
                f"[{name}] {attr.name} must be one of {', '.join(attr.choices)}, "
                f"received {value!r}"
            )
        return value

    return convert


_BY_NAME: dict[str, Any] = {
    "axis": _axis,
    "axes": _axes,
    "perm": _perm,
    "shape": _shape,
    "slices": _slices,
    "dtype": _dtype,
}
_BY_KIND: dict[str, Any] = {"float": _float, "bool": _bool, "ints": _ints}
