# SPDX-License-Identifier: Apache-2.0
"""A public function for every pointwise record of one or two plain operands.

Each is made when it is first asked for, which loads the file of its record only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from fastnn.autodiff import _calls, integers, raw
from fastnn.autodiff.tensor import Tensor, convert_to_tensor
from fastnn.errors import SymbolicTensorError
from fastnn.ops._promote import promote, to_float
from fastnn.ops._symbolic import symbolic
from fastnn.opset import OpDef, all_ops, get_op
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


def _document(function: Any, op: OpDef, like: Any) -> Any:
    function.__annotations__ = like.__annotations__
    function.__module__ = __name__
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"{op.doc}."
    function.takes_symbols = True
    return function


def _unary(op: OpDef) -> Any:
    strict = _strict(op)
    prepare = convert_to_tensor if op.integers else to_float

    def slow(x: Any) -> Tensor:
        try:
            return strict(prepare(x))
        except SymbolicTensorError:
            return symbolic(function, (x,), {})

    function = _document(_calls.unary(op, op.integers, slow), op, slow)
    return function


def _strict(op: OpDef) -> Any:
    return partial(integers.call, op.name) if op.integers else getattr(raw, op.name)


def _pairwise(op: OpDef, strict: Any, prepare: Any) -> Any:
    """`strict` of two operands made alike; a quick function where they are already."""

    def slow(x1: Any, x2: Any) -> Tensor:
        try:
            return strict(*prepare(x1, x2))
        except SymbolicTensorError:
            return symbolic(function, (x1, x2), {})

    quick = slow if op.name in _LOGICAL else _calls.binary(op, op.integers, slow)
    function = _document(quick, op, slow)
    return function


def quick_pair(name: str, least: int) -> Callable[[Any], Any]:
    """Decorates a function of two tensors, which is called for odd ones only.

    Those of one float dtype and at least `least` axes go straight to the op `name`.
    """

    def decorate(written: Any) -> Any:
        @wraps(written)
        def slow(x1: Any, x2: Any) -> Any:
            try:
                return written(x1, x2)
            except SymbolicTensorError:
                return symbolic(function, (x1, x2), {})

        function: Any = wraps(written)(_calls.binary(get_op(name), False, slow, least))
        function.takes_symbols = True
        return function

    return decorate


def _is_plain(op: OpDef) -> bool:
    return (
        op.kind == POINTWISE
        and not op.attrs
        and op.name not in _WRITTEN
        and op.inputs in (("x",), ("x1", "x2"))
    )


def _function(op: OpDef) -> Any:
    if op.name in _LOGICAL:
        return _pairwise(op, getattr(raw, op.name), bools)
    if op.inputs == ("x",):
        return _unary(op)
    return _pairwise(op, _strict(op), promote if op.integers else floats)


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
