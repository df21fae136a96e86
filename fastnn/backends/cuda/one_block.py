# SPDX-License-Identifier: Apache-2.0
"""Plans that fit the shared memory of one multiprocessor: a kernel for many steps.

One block runs the launches of a step in turn (csrc/cuda/one_block.cuh); weights, slots
and values between stay in its shared memory until the kernel ends. A launch costs the
device 2 to 3 us however small its work is; a barrier costs none.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from fastnn.backends.cuda.launches import VIEW, Launch, Operand, Product, dense
from fastnn.backends.cuda.rules import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastnn.backends.cuda.launches import Task
    from fastnn.backends.cuda.protocol import Device, Memory

# Not measured on a device: where one multiprocessor is as fast as all of them.
MOST_BYTES = 96 << 10
# For the arrays that the functions declare; nobody knows how many before they compile.
# A block has 227 KiB on sm_90, 163 on sm_80, 99 on sm_86, 89 and 120.
DECLARED_BYTES = 40 << 10
MOST_BLOCKS = 64  # of a launch of the plan, which one block does in turn
MOST_PRODUCTS = 1 << 21  # multiplications of one product
MOST_TASKS = 96  # the text of all of them is one kernel
STEPS = 64  # of one launch
# What dense networks are made of; windows and recurrences are work for a whole device.
FILES = frozenset(
    f"{name}.cuh"
    for name in (
        *("copy", "gemm", "index", "norm", "norm_rows", "pointwise", "random"),
        *("reduce", "rows", "update"),
    )
)
_ALIGNED = 128


def program(
    device: Device, tasks: Sequence[Task], blocks: Sequence[Memory]
) -> Callable[[int], None] | None:
    """What `device.program(tasks)` gives, as one kernel; None where that does not fit.

    Args:
        blocks: memory that the tasks use and that may lie elsewhere while they run.
    """
    launches = [_as_launch(task) for task in tasks]
    if not launches or len(launches) > MOST_TASKS or None in launches:
        return None
    made = _Table([t for t in launches if t is not None], blocks)
    if made.shared > min(MOST_BYTES, device.shared_bytes - DECLARED_BYTES):
        return None
    memory = device.allocate(made.table.nbytes)
    device.upload(memory, 0, made.table)
    many, one = (
        device.program([made.launch(memory.address, steps)]) for steps in (STEPS, 1)
    )

    def run(steps: int, _kept: Memory = memory) -> None:
        many(steps // STEPS)
        one(steps % STEPS)

    return run


def _as_launch(task: Task) -> Launch | None:
    """The task for one block; None where many would be faster, or are needed."""
    if isinstance(task, Product):
        a, b, c = task[:3]
        floats = c.dtype in ("float32", "float64")
        work = c.size * a.shape[-1]
        alike = len({x.dtype for x in (a, b, c)}) == 1
        if task != Product(a, b, c) or not floats or not alike or work > MOST_PRODUCTS:
            return None
        batches = int(np.prod(c.shape[:-2], dtype=np.int64))
        body = f"tiled_product<{c.c_type}>"
        return Launch("gemm.cuh", body, (a, b), (c,), (batches,), 1, THREADS)
    if not isinstance(task, Launch):
        return None
    if task.blocks > MOST_BLOCKS or task.header not in FILES:
        return None
    # Functions take any number of warps; a row longer than one may be summed in another
    # order then.
    return task._replace(threads=THREADS)


class _Table:
    """The arguments of all launches, and where what they point to lies meanwhile.

    Attributes:
        table: for the kernel.
        shared: bytes of shared memory.
    """

    def __init__(self, launches: Sequence[Launch], blocks: Sequence[Memory]) -> None:
        self._launches = launches
        arguments = [launch.arguments() for launch in launches]
        sizes = [_padded(a.size) for a in arguments]
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self._nbytes = self.shared = sum(sizes)
        lodgers = self._lodge(blocks)
        raw = np.zeros(self._nbytes, np.uint8)
        pointers: list[int] = []
        for start, given, launch in zip(self._starts, arguments, launches, strict=True):
            raw[start : start + given.size] = given
            pointers += self._pointers(raw, start, launch, lodgers)
        self._pointer_count, self._lodger_count = len(pointers), len(lodgers)
        words = np.array([*pointers, *np.ravel(lodgers)], np.int64)
        self.table = np.concatenate([raw, words.view(np.uint8)])

    def _lodge(self, blocks: Sequence[Memory]) -> list[tuple[int, int, int]]:
        """(address, bytes, offset) of each block that some launch uses."""
        used = {o.address for t in self._launches for o in (*t.ins, *t.outs)}
        found = []
        for block in blocks:
            end = block.address + block.nbytes
            if any(block.address <= address < end for address in used):
                nbytes = -(-block.nbytes // 8) * 8
                found.append((block.address, nbytes, self.shared))
                self.shared += _padded(nbytes)
        return found

    def _pointers(
        self,
        raw: np.ndarray,
        start: int,
        launch: Launch,
        lodgers: list[tuple[int, int, int]],
    ) -> list[int]:
        """Where pointers into lodgers are; they are made offsets."""
        first_out = max(len(launch.ins), 1)
        operands = [*enumerate(launch.ins), *enumerate(launch.outs, first_out)]
        found = []
        for at, operand in operands:
            for address, nbytes, offset in lodgers:
                if address <= operand.address < address + nbytes:
                    place = start + at * VIEW.itemsize
                    raw[place : place + 8].view(np.int64)[0] = (
                        operand.address - address + offset
                    )
                    found.append(place)
        return found

    def launch(self, address: int, steps: int) -> Launch:
        """So many steps, with the table at that address."""
        name, code = self._structure()
        table: Operand = dense(address, "uint8", (self.table.size,))
        numbers = (steps, self._nbytes, self._pointer_count, self._lodger_count)
        body = f"one_block<{name}>"
        return Launch(
            "one_block.cuh",
            body,
            (table,),
            (table,),
            numbers,
            1,
            THREADS,
            code=code,
            shared=self.shared,
        )

    def _structure(self) -> tuple[str, str]:
        """The name and text of Steps: equal plans have one.

        A function is compiled once, however many launches it has: not inlined.
        """
        functions: dict[str, int] = {}
        calls = []
        for start, launch in zip(self._starts, self._launches, strict=True):
            shape = f"{len(launch.ins)}, {len(launch.outs)}, {len(launch.numbers)}"
            kind = f"Args<{shape}>"
            text = f"{launch.body}(*reinterpret_cast<const {kind}*>(t));"
            at = functions.setdefault(text, len(functions))
            calls.append(f"    f{at}(t + {start});\n    __syncthreads();\n")
        body = "".join(
            f"  static FASTNN_CALLED void f{at}(const char* t) {{ {text} }}\n"
            for text, at in functions.items()
        )
        body += "  static FASTNN_DEVICE void run(const char* t) {\n"
        body += f"{''.join(calls)}  }}\n"
        headers = {launch.header for launch in self._launches}
        codes = {launch.code for launch in self._launches if launch.code}
        name = f"Steps_{hashlib.sha256(body.encode()).hexdigest()[:12]}"
        return name, "".join(
            [
                *(f'#include "cuda/{header}"\n' for header in sorted(headers)),
                *sorted(codes),
                f"namespace fastnn::device {{\nstruct {name} {{\n{body}}};\n}}\n",
            ]
        )


def _padded(nbytes: int) -> int:
    return -(-nbytes // _ALIGNED) * _ALIGNED
