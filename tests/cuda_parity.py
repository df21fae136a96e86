# SPDX-License-Identifier: Apache-2.0
"""Samples of the records as tasks of a device, and what comes out of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cuda_kernels
import numpy as np
from op_cases import KERNEL_OPS, OPS, narrowed, samples

from fastnn.backends.cuda import rules
from fastnn.backends.cuda.launches import Launch, Operand, Task, dense
from fastnn.opset import Spec
from fastnn.opset._dtypes import know

if TYPE_CHECKING:
    from fastnn.backends.cuda.protocol import Device, Memory

HALVES = cuda_kernels.HALVES
COVERED = [name for name in KERNEL_OPS if rules.find_rule(name) is not None]
POISON = 0x5A


@dataclass
class Case:
    """One application of an op on a device."""

    name: str
    dtype: str
    sample: Any
    outs: list[tuple[Memory, Spec]]
    tasks: list[Task]
    kept: list[Memory]

    @property
    def message(self) -> str:
        shapes = [np.shape(a) for a in self.sample.inputs]
        return f"{self.name} {self.dtype} {shapes} {self.sample.attrs}"

    def run(self, device: Device) -> list[np.ndarray]:
        """The outputs."""
        device.execute(self.tasks)
        found = []
        for memory, spec in self.outs:
            array = np.empty(spec.shape, know(spec.dtype))
            device.download(memory, 0, array)
            found.append(array)
        return found


def make(name: str, dtype: str, sample: Any, device: Device) -> Case:
    """Inputs as the runtime hands them to a kernel; outputs and scratch poisoned."""
    op = OPS[name]
    inputs = [np.ascontiguousarray(a).reshape(np.shape(a)) for a in sample.inputs]
    specs = op.infer([Spec(a.shape, a.dtype.name) for a in inputs], sample.attrs)
    specs = [Spec(*s) for s in specs]
    kept: list[Memory] = []

    def take(nbytes: int) -> int:
        kept.append(device.allocate(nbytes + 64))
        poison = np.full(nbytes + 64, POISON, np.uint8)
        device.upload(kept[-1], 0, poison)
        return kept[-1].address

    def placed(array: np.ndarray) -> Operand:
        address = take(array.nbytes)
        device.upload(kept[-1], 0, array)
        shape = op.operand_shape(array.shape, specs[0].shape)
        wide = np.broadcast_to(array, shape) if shape != array.shape else array
        strides = tuple(s // array.itemsize for s in wide.strides)
        return Operand(address, array.dtype.name, tuple(shape), strides)

    ins = [placed(a) for a in inputs]
    outs, made = [], []
    for spec in specs:
        size = int(np.prod(spec.shape, dtype=np.int64))
        address = take(size * np.dtype(know(spec.dtype)).itemsize)
        outs.append((kept[-1], spec))
        made.append(dense(address, spec.dtype, spec.shape))
    call = rules.Call(op, tuple(ins), tuple(made), sample.attrs, take, lambda: take(8))
    tasks = rules.tasks(call)
    return Case(name, dtype, sample, outs, tasks, kept)


def cases(name: str, dtype: str, device: Device) -> list[Case]:
    """Every sample of an op in a dtype; 16-bit floats take those of float32."""
    op = OPS[name]
    if dtype not in HALVES:
        return [make(name, dtype, s, device) for s in samples(op, dtype)]
    given = list(samples(op, "float32"))
    if not any(s.inputs and s.inputs[0].dtype == np.float32 for s in given):
        return []
    return [make(name, dtype, narrowed(s, dtype), device) for s in given]


def widened(sample: Any) -> Any:
    """The sample with its 16-bit floats as float64, for the reference."""
    inputs = tuple(
        a.astype("float64") if a.dtype.name in HALVES else a for a in sample.inputs
    )
    return type(sample)(inputs, sample.attrs)


def launches() -> list[Launch]:
    """What the samples of all ops ask for."""
    made = cuda_kernels.kernels().values()
    return [launch for of_header in made for launch in of_header.values()]


def prepared(name: str, dtype: str, device: Device) -> list[Case]:
    """The cases, with all kernels of their headers compiled together."""
    found = cases(name, dtype, device)
    headers = {t.header for case in found for t in case.tasks if isinstance(t, Launch)}
    for header in headers:
        device.prepare(list(cuda_kernels.kernels()[header].values()))
    return found
