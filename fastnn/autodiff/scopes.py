# SPDX-License-Identifier: Apache-2.0
"""Contexts: computing now and not later, devices, symbolic calls."""

from __future__ import annotations

from _thread import _local
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn import config
from fastnn._registry import export
from fastnn.autodiff._launch import scopes_open
from fastnn.autodiff._tape import record_custom, state


class init_scope:  # noqa: N801  (TensorFlow's name)
    """Context in which ops run eagerly and unrecorded, also while tracing.

    Layers build their weights in it, so that an initializer's random ops are computed
    once instead of becoming part of the traced function.
    """

    def __enter__(self) -> None:
        current = state()
        self._saved = current.tracer, current.tapes
        current.tracer, current.tapes = None, []

    def __exit__(self, *exc: object) -> None:
        current = state()
        current.tracer, current.tapes = self._saved


@export("keras")
@contextmanager
def device(device_name: str) -> Iterator[None]:
    """Context in which ops and plans run on a device, and what they make stays.

    `convert_to_tensor` puts arrays there; `zeros`, `arange` and others that compute
    nothing make tensors of the host, which go up when an op reads them. Outside of any
    context an op runs where its inputs are. Variables are on the host, and on each
    device that has read them.

    Args:
        device_name: `"cpu"`, or `"gpu"`, `"gpu:0"`, `"gpu:1"`...; `"cuda"` is the same.

    Raises:
        ValueError: for another one, or what is no string. BackendError: for a GPU where
            there is no CuPy, no driver or no such device.
    """
    place = _place(device_name, "device")
    if place != config.CPU:
        from fastnn.backends.cuda.device import device as find

        find(place)
    scopes_open(1)
    try:
        with config.device_scoped(place):
            yield
    finally:
        scopes_open(-1)


class _Move:
    """Stands in a tape record for a copy to another device."""

    name, inputs = "to_device", ("x",)
    saves = attrs = ()

    @staticmethod
    def vjp(_context: Any, dy: Any) -> Any:
        return dy


def moved(tensor: Any, device_name: str) -> Any:
    """The value of a tensor on a device; of a traced function, which runs on one device
    as a whole, the tensor itself.
    """
    place = _place(device_name, "Tensor.to_device")
    current = state()
    if current.tracer is not None:
        return tensor
    found = _on_host(tensor) if place == config.CPU else _on_gpu(tensor, place)
    if found is not tensor and current.tapes:
        record_custom(_Move, (tensor,), [found])
    return found


def _on_host(tensor: Any) -> Any:
    from fastnn.autodiff.tensor import Tensor

    return tensor if tensor._lent is None else Tensor(tensor._array)


def _on_gpu(tensor: Any, place: int) -> Any:
    from fastnn.autodiff.on_device import to_device
    from fastnn.backends.cuda.device import device as find

    lent, wanted = tensor._lent, find(place)
    if lent is not None and lent.array.device is wanted:
        return tensor
    return to_device(tensor, wanted)


def _place(device_name: str, where: str) -> int:
    """The number of a device by its name, CPU for that of the processor."""
    if not isinstance(device_name, str):
        raise ValueError(
            f"[{where}] a device must be a string such as 'cpu:0', received "
            f"{device_name!r}."
        )
    plain = device_name.lower().rpartition("/")[2].removeprefix("device:")
    kind, _, number = plain.partition(":")
    if kind in ("gpu", "cuda") and (number or "0").isdecimal():
        return int(number or 0)
    if plain not in ("cpu", "cpu:0"):
        raise ValueError(
            f"[{where}] devices are 'cpu:0' and 'gpu:0', 'gpu:1'..., received "
            f"{device_name!r}."
        )
    return config.CPU


class _Symbolic(_local):
    def __init__(self) -> None:
        self.scope: SymbolicScope | None = None


_symbolic = _Symbolic()


@export("keras")
class SymbolicScope:
    """Context that marks calls which find shapes and dtypes and compute nothing.

    Calls on symbolic tensors run in one; `in_symbolic_scope()` tells.
    """

    original_scope: SymbolicScope | None = None

    def __enter__(self) -> SymbolicScope:
        self.original_scope, _symbolic.scope = _symbolic.scope, self
        return self

    def __exit__(self, *exc: object) -> None:
        _symbolic.scope = self.original_scope


def in_symbolic_scope() -> bool:
    """Whether a `SymbolicScope` is open in this thread."""
    return _symbolic.scope is not None
