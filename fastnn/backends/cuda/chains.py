# SPDX-License-Identifier: Apache-2.0
"""Pointwise ops as one kernel: its text, and the launch.

A chain reads each operand once and writes only what somebody outside of it reads; what
is between stays in registers, rounded as if it had been stored. One op is a chain too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from fastnn.backends.cuda.launches import Launch, Operand, dense_strides
from fastnn.backends.cuda.rules.axes import merged
from fastnn.opset._dtypes import ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.opset._opdef import OpDef

THREADS = 256
MAX_BLOCKS = 4096
ACCESS = 16  # bytes that a thread reads at once
# Below, threads are what a device has enough of.
MIN_PACKED = 1 << 14
SMALL = 1 << 31  # elements that 32 bits count, with room for the last step
MOST_OPERANDS = 24  # 144 bytes each; a launch takes 4096


class Link(NamedTuple):
    """One op of a chain.

    Attributes:
        op: the record.
        attrs: attribute values in record order.
        sources: registers that it reads: the operands of the chain, then its links.
        dtype: of the result.
    """

    op: OpDef
    attrs: tuple[Any, ...]
    sources: tuple[int, ...]
    dtype: str


def chain_launch(
    ins: Sequence[Operand],
    links: Sequence[Link],
    outs: Sequence[tuple[int, Operand]],
) -> Launch:
    """The kernel of a chain.

    Args:
        ins: operands of the shape of the outputs, broadcast by their strides.
        links: the ops in order.
        outs: (link, where its result goes), dense.
    """
    targets = [operand for _, operand in outs]
    size, shape = targets[0].size, targets[0].shape
    whole = [is_dense(x, shape) for x in ins]
    flat = merged([*ins, *targets])
    width = _width(flat, whole, size)
    index = "uint32_t" if size < SMALL else "int64_t"
    reads = [
        _read(x, wide, width) for x, wide in zip(flat[: len(ins)], whole, strict=True)
    ]
    lines, numbers = _statements(ins, reads, links)
    for at, (link, operand) in enumerate(outs):
        kind = f"{stored(operand.dtype)}, W"
        lines.append(f"put<{kind}>(a.out[{at}], i, r{len(ins) + link});")
    name, code = _structure(links, lines)
    blocks = max(1, min(MAX_BLOCKS, -(-size // (THREADS * width))))
    return Launch(
        "pointwise.cuh",
        f"elements<{name}, {width}, {index}>",
        tuple(flat[: len(ins)]),
        tuple(flat[len(ins) :]),
        tuple(numbers),
        blocks,
        THREADS,
        code=code,
    )


def stored(dtype: str) -> str:
    """The type of elements in memory; a bool is a byte, 0 or 1."""
    from fastnn.backends.cuda.launches import C_TYPES

    return "uint8_t" if dtype == "bool" else C_TYPES[dtype]


def is_dense(x: Operand, shape: tuple[int, ...]) -> bool:
    """Whether the elements lie one behind the other; axes of 1 may have any stride."""
    steps = zip(shape, x.strides, dense_strides(shape), strict=True)
    return all(n == 1 or a == b for n, a, b in steps)


def _width(flat: Sequence[Operand], whole: Sequence[bool], size: int) -> int:
    """Elements that a thread computes at once: a power of two, 1 where operands do not
    allow more.
    """
    width = ACCESS // max(ITEMSIZE[x.dtype] for x in flat)
    if size < MIN_PACKED or width < 2:
        return 1
    for at, x in enumerate(flat):
        packs = at >= len(whole) or whole[at]
        last = x.strides[-1] if x.strides else 0
        if not any(x.strides) and at < len(whole):
            continue
        if x.address % (width * ITEMSIZE[x.dtype]):
            return 1
        if packs:
            continue
        if last != 1 or x.shape[-1] % width or any(s % width for s in x.strides[:-1]):
            return 1
    return width


def _read(x: Operand, whole: bool, width: int) -> str:
    """The function that loads an operand."""
    if whole:
        return "dense"
    if not any(x.strides):
        return "single"
    return "rowwise" if width > 1 else "strided"


def _statements(
    ins: Sequence[Operand], reads: Sequence[str], links: Sequence[Link]
) -> tuple[list[str], list[int | float]]:
    """Lines of the kernel, and the attributes that they read."""
    lines = [
        f"const auto r{k} = {how}<{stored(x.dtype)}, W>(a.in[{k}], i);"
        for k, (x, how) in enumerate(zip(ins, reads, strict=True))
    ]
    dtypes = [x.dtype for x in ins]
    numbers: list[int | float] = []
    for link in links:
        given = ", ".join(f"r{k}" for k in link.sources)
        values = dtypes[link.sources[-1]]  # where has its condition first
        lines.append(
            f"const auto r{len(dtypes)} = "
            f"{_expression(link, given, values, len(numbers))};"
        )
        dtypes.append(link.dtype)
        numbers += attributes(link)
    return lines, numbers


def _expression(link: Link, given: str, values: str, first: int) -> str:
    name, kind = link.op.name, stored(values)
    if name == "copy" or (name == "cast" and values == link.dtype):
        return given
    if name == "cast":
        from fastnn.backends.cuda.launches import C_TYPES

        pair = f"{C_TYPES[values]}, {C_TYPES[link.dtype]}"
        return f"converted<{pair}, {stored(link.dtype)}, W>({given})"
    if name == "where":
        return f"chosen<{kind}, W>({given})"
    return f"apply<Row_{name}, {kind}, W>(a.number + {first}, {given})"


def attributes(link: Link) -> list[int | float]:
    """Attributes of the functor as numbers of the launch."""
    if link.op.name in ("copy", "cast"):
        return []
    found: list[int | float] = []
    for attr, value in zip(link.op.attrs, link.attrs, strict=True):
        number = attr.choices.index(value) if attr.kind == "enum" else value
        found.append(number if isinstance(number, float) else int(number))
    return found


def _structure(links: Sequence[Link], lines: list[str]) -> tuple[str, str]:
    """The name of a chain and the structure that it names: equal chains have one."""
    body = "".join(f"    {line}\n" for line in lines)
    names = "_".join(link.op.name for link in links)[:48].rstrip("_")
    name = f"Chain_{names}_{hashlib.sha256(body.encode()).hexdigest()[:12]}"
    return name, (
        f"namespace fastnn::device {{\nstruct {name} {{\n"
        "  template <int W, class A, class Index>\n"
        "  static FASTNN_DEVICE void at(const A& a, Index i) {\n"
        f"{body}  }}\n}};\n}}\n"
    )
