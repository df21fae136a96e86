# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX nodes, and keeps arrays in the layouts that the nodes around want.

fastnn's images are (batch, *spatial, channels), those of ONNX (batch, channels,
*spatial). An array may be written in the one layout, the other, or both: a convolution
reads and gives the second, an activation stays in the layout of what it reads, and a
transposition appears only where somebody asks for a layout that is not there yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations_with_replacement
from math import prod
from typing import Any

import numpy as np

from fastnn.onnx.export.open_sizes import TRACES, Array, Open, Program, Size, is_open
from fastnn.onnx.package import DTYPES, onnx_package, tensor_of

PLAIN, FIRST = "plain", "first"  # channels last and first


class CannotExportError(NotImplementedError):
    """A step that has no nodes, or sizes that cannot be computed in a file."""


def first_axes(rank: int) -> tuple[int, ...]:
    """Axes of channels last in the order of channels first."""
    return (0, rank - 1, *range(1, rank - 1))


def last_axes(rank: int) -> tuple[int, ...]:
    """The way back."""
    return (0, *range(2, rank), 1)


class Nodes:
    """A list of nodes and the constants that they read."""

    def __init__(self, prefix: str = "", taken: Iterable[str] = ()) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self._by_value: dict[Any, str] = {}
        self._prefix, self._count = prefix, 0
        self._taken = set(taken)

    def fresh(self, hint: str) -> str:
        name = ""
        while not name or name in self._taken:
            self._count += 1
            name = f"{self._prefix}{hint}_{self._count}"
        return name

    def add(self, op: str, *inputs: str, **attrs: Any) -> str:
        """One node with one output, whose name it returns."""
        return self.add_many(op, inputs, 1, **attrs)[0]

    def add_many(
        self, op: str, inputs: Sequence[str], outputs: int, **attrs: Any
    ) -> list[str]:
        names = [self.fresh(op.lower()) for _ in range(outputs)]
        kept = {k: v for k, v in attrs.items() if v is not None}
        node = onnx_package().helper.make_node(op, list(inputs), names, **kept)
        node.name = names[0]
        self.nodes.append(node)
        return names

    def constant(self, value: Any, dtype: str | None = None, hint: str = "c") -> str:
        """The name of a constant; equal small ones are written once."""
        array = np.asarray(value, dtype)
        small = array.nbytes <= 256
        key = (array.dtype.name, array.shape, array.tobytes()) if small else id(value)
        name = self._by_value.get(key)
        if name is None:
            name = self.fresh(hint) if hint == "c" or hint in self._taken else hint
            self._taken.add(name)
            self.constants[name] = array
            self._by_value[key] = name
            if not small:
                self._by_value[name, "kept"] = value  # its id stays its own
        return name

    def ints(self, *values: int) -> str:
        return self.constant(values, "int64")


class Emitter(Nodes):
    """The nodes of one program."""

    def __init__(self, program: Program, opset: int, taken: Iterable[str]) -> None:
        super().__init__(taken=taken)
        self.program, self.opset = program, opset
        self.readers = program.readers()
        self._names: dict[tuple[Array, str], str] = {}
        self._sizes: dict[Open, str] = {}
        self._seen: dict[Open, tuple[Array, int]] = {}  # where a size can be read

    # -- arrays ----------------------------------------------------------------------

    def give(self, array: Array, name: str, layout: str = PLAIN) -> None:
        """An array was written under this name."""
        self._names[array, layout] = name
        for axis, size in enumerate(array.shape):
            if isinstance(size, Open):
                self._seen.setdefault(size, (array, axis))

    def has(self, array: Array, layout: str) -> bool:
        return (array, layout) in self._names

    def name(self, array: Array, layout: str = PLAIN) -> str:
        """The name of an array in a layout, which is written if need be."""
        key = array, layout
        if key not in self._names:
            if array.known is not None:
                known = array.known
                if layout == FIRST:
                    known = known.transpose(first_axes(array.rank))
                    self._names[key] = self.constant(np.ascontiguousarray(known))
                else:
                    self._names[key] = self.constant(known, hint=array.name or "c")
            else:
                other = self._names[array, FIRST if layout == PLAIN else PLAIN]
                axes = (first_axes if layout == FIRST else last_axes)(array.rank)
                self._names[key] = self.add("Transpose", other, perm=axes)
        return self._names[key]

    def used(self, array: Array) -> bool:
        return array in self.readers

    def layout_for(self, arrays: Sequence[Array], rank: int) -> str:
        """Channels first where that is all there is of an array, else last."""
        if rank < 3:
            return PLAIN
        wide = [a for a in arrays if a.rank == rank and a.known is None]
        narrow = [a for a in arrays if 0 < a.rank < rank and a.known is None]
        if narrow or not any(self.has(a, FIRST) for a in wide):
            return PLAIN
        only_plain = [a for a in wide if not self.has(a, FIRST)]
        if all(self.has(a, PLAIN) for a in wide) or len(only_plain) * 2 > len(wide):
            return PLAIN
        return FIRST

    def aligned(self, arrays: Sequence[Array], rank: int, layout: str) -> list[str]:
        """Names of operands that broadcast to one rank, in a layout."""
        if layout == PLAIN:
            return [self.name(a) for a in arrays]
        return [self._operand(a, rank) for a in arrays]

    def _operand(self, array: Array, rank: int) -> str:
        if array.rank == 0:
            return self.name(array)
        if array.known is None or array.rank == rank:
            return self.name(array, FIRST)
        known = array.known.reshape((1,) * (rank - array.rank) + array.known.shape)
        return self.constant(np.ascontiguousarray(known.transpose(first_axes(rank))))

    def elements(self, array: Array) -> np.ndarray:
        """The elements of a known array.

        Raises:
            CannotExportError: when they depend on the inputs.
        """
        if array.known is None:
            raise CannotExportError("an operand that ONNX wants to be constant")
        return array.known

    def fixed(self, size: Size) -> int:
        """A size that must not be open.

        Raises:
            CannotExportError: when it is.
        """
        if isinstance(size, Open):
            raise CannotExportError("an open axis where ONNX needs a fixed size")
        return size

    # -- sizes -----------------------------------------------------------------------

    def shape(self, sizes: Sequence[Size]) -> str:
        """Sizes as a one-dimensional int64 tensor."""
        if not is_open(tuple(sizes)):
            return self.ints(*sizes)  # type: ignore[arg-type]
        parts = [self.size(s) if isinstance(s, Open) else self.ints(s) for s in sizes]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def size(self, size: Open) -> str:
        """An open size as an int64 tensor of shape (1,)."""
        if size not in self._sizes:
            self._sizes[size] = self._computed_size(size)
        return self._sizes[size]

    def _computed_size(self, size: Open) -> str:
        if size in self._seen:
            return self._read_size(*self._seen[size])
        for factors, scale in self._products(size):
            name = self.size(factors[0])
            for factor in factors[1:]:
                name = self.add("Mul", name, self.size(factor))
            if scale[0] != 1:
                name = self.add("Mul", name, self.ints(scale[0]))
            return name if scale[1] == 1 else self.add("Div", name, self.ints(scale[1]))
        for known in self._seen:
            shift = {a - b for a, b in zip(size.values, known.values, strict=True)}
            if len(shift) == 1:
                return self.add("Add", self.size(known), self.ints(shift.pop()))
        raise CannotExportError(
            f"a size ({', '.join(map(str, size.values))} in three traces) that does "
            f"not follow from the shapes"
        )

    def _read_size(self, array: Array, axis: int) -> str:
        layout = PLAIN if self.has(array, PLAIN) else FIRST
        if layout == FIRST:
            axis = first_axes(array.rank).index(axis)
        name = self._names[array, layout]
        return self.add("Shape", name, start=axis, end=axis + 1)

    def _products(self, size: Open) -> Iterator[tuple[tuple[Open, ...], tuple]]:
        """Known sizes whose product is a constant share of this one."""
        for count in (1, 2, 3, 4):
            for factors in combinations_with_replacement(list(self._seen)[:12], count):
                each = [prod(f.values[i] for f in factors) for i in range(TRACES)]
                a, b = size.values[0], each[0]
                if a and all(
                    v * b == a * e for v, e in zip(size.values, each, strict=True)
                ):
                    common = int(np.gcd(a, b))
                    yield factors, (a // common, b // common)

    # -- dtypes ----------------------------------------------------------------------

    def cast(self, name: str, dtype: str) -> str:
        return self.add("Cast", name, to=DTYPES[dtype])

    def number(self, value: float, like: Array) -> str:
        """A scalar of an array's dtype."""
        return self.constant(value, like.dtype)

    def tensors(self) -> list[Any]:
        """All constants, as the file holds them."""
        return [tensor_of(array, name) for name, array in self.constants.items()]
