# SPDX-License-Identifier: Apache-2.0
"""How each op is computed on a device: `tasks(Call(op, ...))`.

A rule is registered under the op's name, or covers a family of the CPU's kernel table
whose ops have one form. It is given operands as a kernel of the CPU would be (inputs
broadcast by their strides, dense outputs) and attributes as they are in the record.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastnn.backends.cuda.launches import Operand, Task
    from fastnn.opset._opdef import OpDef

    Scratch = Callable[[int], int]  # bytes wanted -> address
    Rule = Callable[["Call"], list[Task]]


class Call(NamedTuple):
    """One application of an op.

    Attributes:
        op: the record.
        ins, outs: operands.
        attrs: attribute values in record order.
        scratch: gives memory for the time of this call.
        fault: gives the address of a word that stays, for an index out of range.
    """

    op: OpDef
    ins: tuple[Operand, ...]
    outs: tuple[Operand, ...]
    attrs: tuple[Any, ...]
    scratch: Scratch
    fault: Callable[[], int]


THREADS = 256
MAX_BLOCKS = 4096  # of kernels whose threads take element after element

_RULES: dict[str, Rule] = {}
_FAMILIES: dict[str, Rule] = {}
_MODULES = (
    "conv",
    "copy",
    "depthwise",
    "gemm",
    "index",
    "lines",
    "norm",
    "pointwise",
    "pool",
    "random",
    "recurrent",
    "reduce",
    "resize",
    "rows",
    "update",
)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers how the ops of these names are computed."""

    def register(function: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, function))
        return function

    return register


def family(*names: str) -> Callable[[Rule], Rule]:
    """Registers how all ops of these kernel families are computed."""

    def register(function: Rule) -> Rule:
        _FAMILIES.update(dict.fromkeys(names, function))
        return function

    return register


def find_rule(name: str) -> Rule | None:
    """The rule of an op's kernel; None where the backend has none yet."""
    _import_all()
    found = _RULES.get(name)
    if found is not None:
        return found
    family = _kernel_families().get(name)
    return None if family is None else _FAMILIES.get(family)


@cache
def _import_all() -> None:
    for module in _MODULES:
        import_module(f"{__name__}.{module}")


@cache
def _kernel_families() -> dict[str, str]:
    """The family of each kernel of the CPU's table."""
    from fastnn import _core

    return {row["name"]: row["family"] for row in _core.kernels()}


def tasks(call: Call) -> list[Task]:
    """What a device does for one application of an op.

    Raises:
        PlanError: there is no rule for the op.
    """
    found = find_rule(call.op.name)
    if found is None:
        raise PlanError(
            f"[{call.op.name}] no kernel on the cuda backend: stay on the CPU for it, "
            f'fastnn.config.set_backend("cpu")'
        )
    if all(out.size == 0 for out in call.outs):
        return []
    return found(call)


def blocks_for(n: int, threads: int = THREADS) -> int:
    """Blocks for n elements taken in turn by all threads of the grid."""
    return max(1, min(MAX_BLOCKS, -(-n // threads)))


def plain(attrs: Iterable[Any]) -> tuple[int | float, ...]:
    """Attributes that are numbers, as numbers of a launch."""
    return tuple(a if isinstance(a, float) else int(a) for a in attrs)
