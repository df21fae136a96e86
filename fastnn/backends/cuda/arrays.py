# SPDX-License-Identifier: Apache-2.0
"""Arrays on a device, and one op computed on them now."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backends.cuda import rules
from fastnn.backends.cuda.faults import Faults
from fastnn.backends.cuda.launches import Operand, dense, dense_strides
from fastnn.backends.cuda.rules.copy import copy_launch
from fastnn.opset._dtypes import ITEMSIZE, know

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.protocol import Device, Memory
    from fastnn.opset._opdef import OpDef, Spec


class DeviceArray:
    """An immutable array on a device.

    Args:
        device: which.
        memory: holds it.
        operand: where in it.
    """

    def __init__(self, device: Device, memory: Memory, operand: Operand) -> None:
        self.device, self.memory, self.operand = device, memory, operand

    def download(self) -> np.ndarray:
        """The values, dense, in an array with memory of its own: who counts the
        references of it learns who reads it.
        """
        x = self.operand
        dtype = np.dtype(know(x.dtype))
        if x.strides == dense_strides(x.shape) or not x.size:
            made = np.empty(x.shape, dtype)
            self.device.download(self.memory, x.address - self.memory.address, made)
            return made
        spans = [(n - 1) * s for n, s in zip(x.shape, x.strides, strict=True)]
        below = sum(min(s, 0) for s in spans)  # a reversed axis begins at its end
        flat = np.empty(1 + sum(map(abs, spans)), dtype)
        offset = x.address - self.memory.address + below * dtype.itemsize
        self.device.download(self.memory, offset, flat)
        strides = [s * dtype.itemsize for s in x.strides]
        found = np.lib.stride_tricks.as_strided(flat[-below:], x.shape, strides)
        return np.array(found, order="C")

    def view(self, op: OpDef, attrs: tuple[Any, ...]) -> DeviceArray | None:
        """What an op that moves nothing makes of it; None where it must be moved."""
        x = self.operand
        if op.name == "reshape" and x.strides != dense_strides(x.shape):
            return None
        if not x.size:
            return None
        item = ITEMSIZE[x.dtype]
        whole = np.lib.stride_tricks.as_strided(
            np.empty(1, know(x.dtype)), x.shape, [s * item for s in x.strides]
        )
        found = op.ref(whole, *attrs)
        if not found.size:
            return None
        start = whole.__array_interface__["data"][0]
        moved = found.__array_interface__["data"][0] - start
        strides = tuple(s // item for s in found.strides)
        operand = Operand(x.address + moved, x.dtype, found.shape, strides)
        return DeviceArray(self.device, self.memory, operand)


def compacted(array: DeviceArray) -> DeviceArray:
    """A dense copy."""
    x = array.operand
    made = empty(array.device, x.shape, x.dtype)
    if x.size:
        array.device.execute([copy_launch(x, made.operand)])
    return made


def uploaded(device: Device, array: np.ndarray) -> DeviceArray:
    """A copy of an array of the host."""
    made = empty(device, array.shape, array.dtype.name)
    device.upload(made.memory, 0, array)
    return made


def empty(device: Device, shape: tuple[int, ...], dtype: str) -> DeviceArray:
    """Undefined contents."""
    memory = device.allocate(prod(shape) * ITEMSIZE[dtype])
    return DeviceArray(device, memory, dense(memory.address, dtype, shape))


def compute(
    device: Device,
    op: OpDef,
    inputs: Sequence[Operand],
    attrs: tuple[Any, ...],
    specs: Sequence[Spec],
) -> list[DeviceArray]:
    """The outputs of an op that has a rule.

    Raises:
        ValueError: an index is out of range.
    """
    made = [empty(device, tuple(shape), dtype) for shape, dtype in specs]
    scratch = []

    def take(nbytes: int) -> int:
        scratch.append(device.allocate(nbytes))
        return scratch[-1].address

    shape = made[0].operand.shape
    ins = tuple(broadcast(x, op.operand_shape(x.shape, shape)) for x in inputs)
    outs = tuple(x.operand for x in made)
    faults: list[Faults] = []

    def word() -> int:
        faults.append(Faults(device, 1))
        return faults[-1].word()

    tasks = rules.tasks(rules.Call(op, ins, outs, attrs, take, word))
    for fault in faults:
        fault.watch(tasks)
    device.execute(tasks)
    for fault in faults:
        fault.check()
    return made


def broadcast(x: Operand, shape: tuple[int, ...]) -> Operand:
    """The operand repeated to a shape."""
    if x.shape == tuple(shape):
        return x
    lead = len(shape) - len(x.shape)
    strides = (0,) * lead + tuple(
        0 if n == 1 and m != 1 else s
        for n, m, s in zip(x.shape, shape[lead:], x.strides, strict=True)
    )
    return x._replace(shape=tuple(shape), strides=strides)


def has_rule(op: OpDef) -> bool:
    """Whether a device computes the op."""
    return rules.find_rule(op.name) is not None
