# SPDX-License-Identifier: Apache-2.0
"""Samples of the records as tasks of a device, and what must come out of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from cuda_emulated import EmulatedDevice
from op_cases import DTYPES, KERNEL_OPS, OPS, narrowed, samples

from fastnn.backends.cuda import rules
from fastnn.backends.cuda.launches import Launch, Operand, Task
from fastnn.opset import Spec
from fastnn.opset._dtypes import know

# The CPU computes these on 16-bit floats too, by way of float32.
HALVES = ("bfloat16", "float16")
COVERED = [name for name in KERNEL_OPS if rules.find_rule(name) is not None]


def broadcast(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """As the runtime hands inputs to a kernel."""
    return np.broadcast_to(array, shape) if array.shape != shape else array


@dataclass
class Case:
    """One application of an op: its arrays on the host, its tasks on a device."""

    name: str
    dtype: str
    sample: Any
    ins: list[np.ndarray]
    outs: list[np.ndarray]
    tasks: list[Task]
    scratch: list[np.ndarray] = field(default_factory=list)

    @property
    def message(self) -> str:
        shapes = [a.shape for a in self.ins]
        return f"{self.name} {self.dtype} {shapes} {self.sample.attrs}"


def operand(array: np.ndarray) -> Operand:
    item = array.itemsize
    strides = tuple(s // item for s in array.strides)
    return Operand(array.ctypes.data, array.dtype.name, array.shape, strides)


def make(name: str, dtype: str, sample: Any) -> Case:
    op = OPS[name]
    inputs = [np.asarray(a) for a in sample.inputs]
    specs = op.infer([Spec(a.shape, a.dtype.name) for a in inputs], sample.attrs)
    outs = [np.empty(s[0], know(s[1])) for s in specs]
    for out in outs:  # poisoned: what is not written shows
        out.reshape(-1).view(np.uint8).fill(0x5A)
    shaped = [broadcast(a, op.operand_shape(a.shape, specs[0][0])) for a in inputs]
    scratch: list[np.ndarray] = []

    def take(nbytes: int) -> int:
        scratch.append(np.full(nbytes + 64, 0x5A, np.uint8))
        return scratch[-1].ctypes.data

    ins, made = [operand(a) for a in shaped], [operand(a) for a in outs]
    tasks = rules.tasks(op, ins, made, sample.attrs, take)
    return Case(name, dtype, sample, shaped, outs, tasks, scratch)


def cases(name: str, dtype: str) -> list[Case]:
    """Every sample of an op in a dtype; 16-bit floats take those of float32."""
    op = OPS[name]
    if dtype not in HALVES:
        return [make(name, dtype, s) for s in samples(op, dtype)]
    if any(
        s.inputs and s.inputs[0].dtype == np.float32 for s in samples(op, "float32")
    ):
        return [make(name, dtype, narrowed(s, dtype)) for s in samples(op, "float32")]
    return []


@cache
def device(header: str) -> EmulatedDevice:
    """With the kernels that the covered ops of one header ask for."""
    launches = []
    for name in COVERED:
        for dtype in (*DTYPES, *HALVES):
            for case in cases(name, dtype):
                launches += [t for t in case.tasks if isinstance(t, Launch)]
    return EmulatedDevice([t for t in launches if t.header == header])


def execute(case: Case) -> list[np.ndarray]:
    """The outputs, computed by the emulated device."""
    for task in case.tasks:
        header = task.header if isinstance(task, Launch) else ""
        (device(header) if header else NOTHING).run(task)
    return case.outs


NOTHING = EmulatedDevice.__new__(EmulatedDevice)
