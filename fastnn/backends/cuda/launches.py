# SPDX-License-Identifier: Apache-2.0
"""What a device is asked to do: launches of kernels, matrix products."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastnn.opset._dtypes import CODES, ITEMSIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_RANK = 8

# fastnn::device::View and Number (csrc/cuda/prelude.cuh)
VIEW = np.dtype(
    [
        ("data", "u8"),
        ("shape", "i8", MAX_RANK),
        ("stride", "i8", MAX_RANK),
        ("ndim", "i4"),
        ("dtype", "i4"),
    ]
)
NUMBER = np.dtype("u8")

NO_FAULT = 0xFFFFFFFFFFFFFFFF
NO_POSITION = 0xFFFFFFFE  # the index is where all begin (csrc/cuda/index.cuh)

# Addresses from here on are offsets in scratch memory that is not there yet.
RELATIVE = 1 << 60

# Element types as csrc/cuda names them; bool is a byte.
C_TYPES = {
    "bool": "bool",
    "uint8": "uint8_t",
    "int8": "int8_t",
    "uint16": "uint16_t",
    "int16": "int16_t",
    "uint32": "uint32_t",
    "int32": "int32_t",
    "uint64": "uint64_t",
    "int64": "int64_t",
    "float32": "float",
    "float64": "double",
    "bfloat16": "BFloat16",
    "float16": "Float16",
}


class Operand(NamedTuple):
    """An array on the device: where, of what, and its strides in elements."""

    address: int
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * ITEMSIZE[self.dtype]

    @property
    def c_type(self) -> str:
        return C_TYPES[self.dtype]


def dense(address: int, dtype: str, shape: Sequence[int]) -> Operand:
    """A C-contiguous operand."""
    return Operand(address, dtype, tuple(shape), dense_strides(shape))


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


class Fault(NamedTuple):
    """Where a kernel says that an index was out of range, and what to tell of it.

    The word is ~0 or the first position that was wrong, in the upper half, and the
    index that lies there (csrc/cuda/index.cuh).

    Attributes:
        address: of the word.
        name: of the op.
        shape: of the indices.
        sizes: of what they count: see `message`.
    """

    address: int
    name: str
    shape: tuple[int, ...]
    sizes: tuple[int, ...]

    def message(self, word: int) -> str:
        """What the CPU's kernel says."""
        position, index = word >> 32, word & 0xFFFFFFFF
        index -= (index >> 31) << 32
        name, sizes = self.name, self.sizes
        if name == "gather_rows":
            rows, order, batch = sizes
            if position == NO_POSITION:
                last = index + batch
                return f"[{name}] rows {index} to {last} of a permutation of {order}"
            return f"[{name}] row {index} is out of range for data of {rows} rows"
        if name.endswith("slice"):
            rank = len(sizes) // 2
            return (
                f"[{name}] {sizes[position]} elements from {index} on do not fit axis "
                f"{position} of size {sizes[rank + position]}"
            )
        place = ", ".join(map(str, np.unravel_index(position, self.shape)))
        return (
            f"[{name}] index {index} at position ({place}) is out of range for an axis "
            f"of size {sizes[0]}"
        )


class Launch(NamedTuple):
    """One kernel over one grid.

    Attributes:
        header: the file of csrc/cuda that has it.
        body: the device function, as "softmax<float>".
        ins, outs: operands as the function takes them.
        numbers: attributes and what the rule adds, integers or floats.
        blocks, threads: the grid and the block, one axis each.
        fault: of kernels that check indices; its word is their last output.
        code: what `body` names and no header has.
        shared: bytes of shared memory beside what the kernel declares.
        beside: launches of the same kernel in the same grid (beside.py).
    """

    header: str
    body: str
    ins: tuple[Operand, ...]
    outs: tuple[Operand, ...]
    numbers: tuple[int | float, ...]
    blocks: int
    threads: int
    fault: Fault | None = None
    code: str = ""
    shared: int = 0
    beside: tuple[Launch, ...] = ()

    @property
    def symbol(self) -> str:
        """The kernel's name: its function, with what else its text depends on."""
        plain = re.sub(r"[^A-Za-z0-9]+", "_", self.body).strip("_")
        parts = f"_x{len(self.beside) + 1}" if self.beside else ""
        return (
            f"k_{plain}_{len(self.ins)}{len(self.outs)}{len(self.numbers)}"
            f"_{self.threads}{parts}"
        )

    @property
    def grid(self) -> tuple[int, int]:
        """Blocks of a part, and parts."""
        most = max((part.blocks for part in self.beside), default=0)
        return max(self.blocks, most), len(self.beside) + 1

    @property
    def text(self) -> str:
        """The line that makes a kernel of the function."""
        rest = (
            f"{len(self.ins)}, {len(self.outs)}, {len(self.numbers)}, "
            f"{self.threads}, ({self.body}))"
        )
        if self.beside:
            return f"FASTNN_BESIDE({self.symbol}, {len(self.beside) + 1}, {rest}"
        return f"FASTNN_GLOBAL({self.symbol}, {rest}"

    def arguments(self) -> np.ndarray:
        """fastnn::device::Args of the kernel, or of all parts: one record of bytes."""
        alone = self._replace(beside=())
        return np.concatenate([part._own() for part in (alone, *self.beside)])

    def _own(self) -> np.ndarray:
        views = np.zeros(max(len(self.ins), 1) + len(self.outs), VIEW)
        first_out = max(len(self.ins), 1)
        for at, operand in (
            *enumerate(self.ins),
            *enumerate(self.outs, first_out),
        ):
            rank = len(operand.shape)
            view = views[at]
            view["data"] = operand.address
            view["shape"][:rank] = operand.shape
            view["stride"][:rank] = operand.strides
            view["ndim"], view["dtype"] = rank, CODES[operand.dtype]
        numbers = np.zeros(max(len(self.numbers), 1), NUMBER)
        for i, number in enumerate(self.numbers):
            kind = np.float64 if isinstance(number, float) else np.int64
            numbers[i : i + 1] = np.array([number], kind).view(NUMBER)
        return np.concatenate([views.view(np.uint8), numbers.view(np.uint8)])


class Product(NamedTuple):
    """c = a b, batched over the leading axes; for a library of matrix products.

    Attributes:
        bias: None, or what is added to each row of one matrix; cuBLASLt only.
        then: what is applied to the sum: "linear" or "relu".
    """

    a: Operand
    b: Operand
    c: Operand
    bias: Operand | None = None
    then: str = "linear"


class Convolution(NamedTuple):
    """A convolution or one of its gradients, for a library.

    Attributes:
        x: (images, places..., inputs), dense, as all three.
        w: (outputs, window..., inputs of a group).
        y: (images, places..., outputs).
        written: which of them is computed from the others: "x", "w" or "y".
        strides, dilations: of the window along each axis of places.
        before, after: zeros around x.
        rounded: whether float32 factors may be rounded to TF32.
    """

    x: Operand
    w: Operand
    y: Operand
    written: str
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    rounded: bool


Task = Launch | Product | Convolution


def operands(task: Task) -> tuple[tuple[Operand, ...], tuple[Operand, ...]]:
    """What a task reads, and what it writes."""
    if isinstance(task, Launch):
        return task.ins, task.outs
    if isinstance(task, Product):
        bias = () if task.bias is None else (task.bias,)
        return (task.a, task.b, *bias), (task.c,)
    ends = {"x": task.x, "w": task.w, "y": task.y}
    written = ends.pop(task.written)
    return tuple(ends.values()), (written,)


def placed(task: Task, base: int) -> Task:
    """The task with relative addresses made those of scratch memory at `base`."""

    def moved(operand: Operand) -> Operand:
        if operand.address < RELATIVE:
            return operand
        return operand._replace(address=operand.address - RELATIVE + base)

    if isinstance(task, Launch):
        ins, outs = (tuple(map(moved, x)) for x in (task.ins, task.outs))
        return task._replace(ins=ins, outs=outs)
    fields: dict[str, Any] = task._asdict()
    ends = {k: moved(v) for k, v in fields.items() if isinstance(v, Operand)}
    return type(task)(**{**fields, **ends})


def described(task: Task) -> str:
    """A line of a plan's summary."""
    if isinstance(task, Launch):
        return f"{task.body} <<<{task.blocks}, {task.threads}>>>"
    if isinstance(task, Product):
        shapes = " ".join(str(o.shape) for o in task[:3])
        after = "" if task.bias is None else f" + bias, {task.then}"
        return f"product {shapes}{after}"
    shapes = " ".join(str(o.shape) for o in task[:3])
    return f"convolution of {task.written} {shapes}"
