# SPDX-License-Identifier: Apache-2.0
"""A public function for every pointwise record of one or two plain operands.

Each is made when it is first asked for, which loads the file of its record only.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastnn.autodiff import integers, raw
from fastnn.autodiff._tape import apply
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import SymbolicTensorError
from fastnn.ops._promote import promote, to_float
from fastnn.ops._symbolic import symbolic
from fastnn.opset import OpDef, all_ops, get_op
from fastnn.opset._dtypes import FLOATS
from fastnn.opset._opdef import POINTWISE

_LOGICAL = ("logical_and", "logical_or", "logical_xor")
# More than the op itself: in `math`, `activation`, `arrays` and `elementwise`.
_WRITTEN = frozenset(
    """bitwise_and bitwise_not bitwise_or bitwise_xor copy divide fmax fmin gcd
    left_shift logical_not power right_shift round sigmoid signbit""".split()
)
_ALIASES = {"absolute": "abs"}


def floats(x1: Any, x2: Any) -> tuple[Tensor, ...]:
    """Both as tensors of one float dtype."""
    a, b = promote(x1, x2)
    return to_float(a), to_float(b)


def bools(*xs: Any) -> tuple[Tensor, ...]:
    """All as bool tensors."""
    return tuple(raw.cast(convert_to_tensor(x), "bool") for x in xs)


def _document(function: Any, op: OpDef) -> Any:
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"{op.doc}."
    function.takes_symbols = True
    return function


def _unary(op: OpDef) -> Any:
    strict = _strict(op)
    prepare = convert_to_tensor if op.integers else to_float

    def function(x: Any) -> Tensor:
        try:
            if isinstance(x, Tensor) and x._dtype in FLOATS:
                return apply(op, (x,))
            return strict(prepare(x))
        except SymbolicTensorError:
            return symbolic(function, (x,), {})

    return _document(function, op)


def _strict(op: OpDef) -> Any:
    return partial(integers.call, op.name) if op.integers else getattr(raw, op.name)


def _binary(op: OpDef, prepare: Any) -> Any:
    strict = _strict(op)
    ready = integers.NATIVE if op.integers else FLOATS

    def function(x1: Any, x2: Any) -> Tensor:
        try:
            # Nothing to promote: two tensors as the kernel takes them.
            if isinstance(x1, Tensor) and isinstance(x2, Tensor):
                dtype = x1._dtype
                if dtype == x2._dtype and dtype in ready:
                    return apply(op, (x1, x2))
            return strict(*prepare(x1, x2))
        except SymbolicTensorError:
            return symbolic(function, (x1, x2), {})

    return _document(function, op)


def _logical(op: OpDef) -> Any:
    strict = getattr(raw, op.name)

    def function(x1: Any, x2: Any) -> Tensor:
        try:
            return strict(*bools(x1, x2))
        except SymbolicTensorError:
            return symbolic(function, (x1, x2), {})

    return _document(function, op)


def _is_plain(op: OpDef) -> bool:
    return (
        op.kind == POINTWISE
        and not op.attrs
        and op.name not in _WRITTEN
        and op.inputs in (("x",), ("x1", "x2"))
    )


def _function(op: OpDef) -> Any:
    if op.name in _LOGICAL:
        return _logical(op)
    if op.inputs == ("x",):
        return _unary(op)
    return _binary(op, promote if op.integers else floats)


def __getattr__(name: str) -> Any:
    if name == "__all__":
        plain = [op.name for op in all_ops().values() if _is_plain(op)]
        return sorted([*plain, *_ALIASES])
    try:
        op = None if name.startswith("_") else get_op(_ALIASES.get(name, name))
    except KeyError:
        op = None
    if op is None or not _is_plain(op):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    space = globals()
    if op.name not in space:
        space[op.name] = _function(op)
    return space.setdefault(name, space[op.name])
