# SPDX-License-Identifier: Apache-2.0
"""Tensors and variables on a device.

A tensor lives where it was made. A variable lives on the host and, once a device has
read it, there as well: each side copies it when it reads what the other has written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config
from fastnn.autodiff._base import device_tensor
from fastnn.autodiff._launch import scopes_open
from fastnn.autodiff._tape import apply, state
from fastnn.opset._opdef import VIEW

if TYPE_CHECKING:
    from fastnn.autodiff.tensor import Tensor, Variable
    from fastnn.backends.cuda.arrays import DeviceArray
    from fastnn.backends.cuda.launches import Operand
    from fastnn.backends.cuda.protocol import Device, Memory
    from fastnn.opset._opdef import OpDef, Spec

HOST, DEVICE, SAME = "host", "device", "same"
MAX_SCALARS = 1024


class Lent:
    """The values of a tensor on a device; `_host` is a copy, once somebody asked."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array

    def fetch(self, tensor: Any) -> None:
        """Sees to it that the host has them."""
        if tensor._host is None:
            tensor._host = self.array.download()

    def replaced(self) -> None:
        raise AssertionError("tensors do not change")

    def exported(self) -> DeviceArray:
        """The array as other libraries take it: none of its axes runs backwards."""
        from fastnn.backends.cuda.arrays import compacted

        if any(s < 0 for s in self.array.operand.strides):
            self.array = compacted(self.array)  # held for as long as the tensor lives
        return self.array


class Resident:
    """What a device has of a variable.

    Attributes:
        memory: its place, which plans know by address.
        newer: who has the value: HOST, DEVICE, or SAME for both.
    """

    def __init__(self, device: Device, variable: Variable) -> None:
        from fastnn.backends.cuda.arrays import empty

        self.device = device
        self._array = empty(device, variable._shape, variable._dtype)
        self.newer = HOST

    @property
    def memory(self) -> Memory:
        return self._array.memory

    @property
    def operand(self) -> Operand:
        return self._array.operand

    def fetch(self, variable: Any) -> None:
        """Sees to it that the host has the value."""
        if self.newer == DEVICE:
            variable._host, variable._shared = self._array.download(), False
            self.newer = SAME

    def replaced(self) -> None:
        """The host has written, or is going to."""
        self.newer = HOST

    def ready(self, variable: Variable) -> None:
        """Sees to it that the device has the value."""
        if variable._remote is not self:  # another device had it since
            variable._array, variable._remote = variable._array, self
            self.newer = HOST
        if self.newer == HOST:
            self.device.upload(self.memory, 0, variable._host)
            self.newer = SAME

    def written(self) -> None:
        """A device has written."""
        self.newer = DEVICE

    def copy(self) -> DeviceArray:
        """The value as it is now."""
        from fastnn.backends.cuda.arrays import empty

        made = empty(self.device, self.operand.shape, self.operand.dtype)
        self.device.copy(made.memory.address, self.memory.address, self.memory.nbytes)
        return made

    def take(self, array: DeviceArray) -> bool:
        """Becomes a dense array of the same device."""
        x = array.operand
        if array.device is not self.device or x.strides != self.operand.strides:
            return False
        self.device.copy(self.memory.address, x.address, self.memory.nbytes)
        self.newer = DEVICE
        return True


def resident(variable: Variable, device: Device) -> Resident:
    """The place of a variable on a device, made if there is none."""
    found = variable._remote
    if not isinstance(found, Resident) or found.device is not device:
        values = variable._array  # what another device may have
        found = variable._remote = Resident(device, variable)
        variable._host = values
    return found


def chosen() -> Any:
    """The device that the innermost context names; None for the CPU, or none."""
    place = config.device_scope()
    if place is None or place == config.CPU:
        return None
    from fastnn.backends.cuda.device import device

    return device(place)


def computes(inputs: tuple[Any, ...]) -> bool:
    """Whether a device computes an op of these; the host has all of them if not."""
    place = config.device_scope()
    if place is None:
        remote = any(isinstance(t._remote, Lent) for t in inputs)
    else:
        remote = place != config.CPU
    if not remote:
        for t in inputs:
            _ = t._array
    return remote


def run(
    op: OpDef, inputs: tuple[Any, ...], attrs: tuple[Any, ...], specs: list[Spec]
) -> list[Tensor]:
    """The outputs of an op, computed on the device."""
    from fastnn.backends.cuda import arrays

    device = chosen() or next(
        t._remote.array.device for t in inputs if isinstance(t._remote, Lent)
    )
    if op.kind == VIEW:
        array = owned(inputs[0], device)
        view = array.view(op, attrs)
        if view is None:
            view = arrays.compacted(array).view(op, attrs)
        if view is not None:
            return [lent(view, *specs[0])]
    elif arrays.has_rule(op):
        operands = [placed(t, device) for t in inputs]  # held until it is launched
        found = arrays.compute(device, op, [a.operand for a in operands], attrs, specs)
        return [lent(a, *spec) for a, spec in zip(found, specs, strict=True)]
    return _by_host(op, inputs, attrs, device)


def _by_host(
    op: OpDef, inputs: tuple[Any, ...], attrs: tuple[Any, ...], device: Device
) -> list[Tensor]:
    """Ops that no device has."""
    from fastnn.autodiff.tensor import Tensor

    current = state()
    saved, current.tapes = current.tapes, []
    try:
        with config.device_scoped(config.CPU):
            made = apply(op, tuple(Tensor(t._array) for t in inputs), attrs)
    finally:
        current.tapes = saved
    found = made if isinstance(made, tuple) else (made,)
    return [to_device(t, device) for t in found]


def lent(array: DeviceArray, shape: tuple[int, ...], dtype: str) -> Tensor:
    """A tensor of an array on a device."""
    found: Tensor = device_tensor(Lent(array), tuple(shape), dtype)
    return found


def to_device(tensor: Any, device: Device) -> Tensor:
    """A tensor of the same value that lives on the device."""
    return lent(owned(tensor, device), tensor._shape, tensor._dtype)


def made(tensor: Tensor) -> Tensor:
    """A new tensor of the host, where the context says."""
    if not scopes_open() or state().tracer is not None:
        return tensor
    device = chosen()
    return tensor if device is None else to_device(tensor, device)


# Numbers that operators meet again and again, by device, bytes and dtype.
_scalars: dict[Any, DeviceArray] = {}


def placed(tensor: Any, device: Device) -> DeviceArray:
    """The values of a tensor or variable on a device, to be read by one op."""
    from fastnn.backends.cuda.arrays import DeviceArray

    if tensor._is_variable:
        place = resident(tensor, device)
        place.ready(tensor)
        return DeviceArray(device, place.memory, place.operand)
    if tensor._remote is not None or tensor.size != 1:
        return owned(tensor, device)
    values: np.ndarray = tensor._array
    key = device, values.tobytes(), tensor._dtype, values.shape
    known = _scalars.get(key)
    if known is None:
        if len(_scalars) >= MAX_SCALARS:
            _scalars.clear()
        known = _scalars[key] = owned(tensor, device)
    return known


def owned(tensor: Any, device: Device) -> DeviceArray:
    """The values on a device, for a tensor: of a variable, which is written later, and
    of numbers, which others read, a copy.
    """
    from fastnn.backends.cuda.arrays import uploaded

    if tensor._is_variable:
        place = resident(tensor, device)
        place.ready(tensor)
        return place.copy()
    remote = tensor._remote
    if remote is not None and remote.array.device is device:
        array: DeviceArray = remote.array
        return array
    return uploaded(device, tensor._array)


def snapshot(variable: Variable) -> Tensor | None:
    """The value of a variable on the device, as a tensor; None if the host has it."""
    device = chosen() if scopes_open() else None
    if device is None:
        return None
    return to_device(variable, device)


def assigned(variable: Variable, tensor: Tensor) -> bool:
    """Whether a variable got the value of a tensor on the device that computes."""
    remote = tensor._remote
    if not isinstance(remote, Lent):
        return False
    return resident(variable, remote.array.device).take(remote.array)


def release() -> None:
    """Lets go of what is kept, and of memory that nobody holds."""
    from fastnn.backends.cuda import device as devices

    _scalars.clear()
    for device in devices.opened():
        device.release()
