# SPDX-License-Identifier: Apache-2.0
"""A CUDA device through CuPy, the only place that imports it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backends.cuda import source
from fastnn.backends.cuda.launches import Launch, Operand, Product
from fastnn.backends.cuda.protocol import Memory
from fastnn.errors import BackendError
from fastnn.opset._dtypes import ITEMSIZE, know

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastnn.backends.cuda.launches import Task

# Sums and products are fused by name where the CPU fuses them (shared/hd.h).
OPTIONS = ("-std=c++20", "--fmad=false")
WARM_UPS = 2  # runs before a program is captured: libraries choose and allocate then


def import_cupy() -> Any:
    """The cupy module.

    Raises:
        BackendError: it is not installed, or there is no device or driver.
    """
    try:
        import cupy
    except ImportError as error:
        raise BackendError(
            "[cuda] CuPy is not installed: pip install 'fastnn[cuda13]' brings it with "
            "CUDA's libraries; the driver must be installed already"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise BackendError(
            f"[cuda] no usable driver ({error}): install NVIDIA's driver, or stay with "
            f'fastnn.config.set_backend("cpu")'
        ) from error
    if not count:
        raise BackendError(
            "[cuda] no device: CUDA_VISIBLE_DEVICES may hide it; stay with "
            'fastnn.config.set_backend("cpu")'
        )
    return cupy


@cache
def device(index: int = 0) -> CudaDevice:
    """The device of that number, one object for the whole process."""
    return CudaDevice(index)


class CudaDevice:
    """Memory and one stream of a GPU; see protocol.Device.

    Args:
        index: which GPU, as CUDA counts them.
    """

    def __init__(self, index: int = 0) -> None:
        self._cupy = import_cupy()
        self._device = self._cupy.cuda.Device(index)
        self._functions: dict[str, Any] = {}  # compiled kernels by symbol
        with self._device:
            self._stream = self._cupy.cuda.Stream(non_blocking=True)

    def allocate(self, nbytes: int) -> Memory:
        """Memory of CuPy's pool, back in it when nobody holds it.

        Raises:
            BackendError: the device has not as much left.
        """
        with self._device, self._stream:
            try:
                block = self._cupy.cuda.alloc(max(nbytes, 1))
            except self._cupy.cuda.memory.OutOfMemoryError as error:
                free, total = self._device.mem_info
                raise BackendError(
                    f"[cuda] {nbytes} bytes wanted, {free} of {total} are free: take "
                    f"smaller batches, fastnn.utils.clear_session(), or fastnn.remat"
                ) from error
        return Memory(block.ptr, nbytes, block)

    def upload(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes of a contiguous array to the device."""
        flat = np.ascontiguousarray(array)
        if not flat.nbytes:
            return
        runtime = self._cupy.cuda.runtime
        with self._device:
            runtime.memcpyAsync(
                memory.address + offset,
                flat.ctypes.data,
                flat.nbytes,
                runtime.memcpyHostToDevice,
                self._stream.ptr,
            )
            self._stream.synchronize()  # `array` may change after the call

    def download(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes into a contiguous array, after all work before."""
        if not array.nbytes:
            return
        runtime = self._cupy.cuda.runtime
        with self._device:
            runtime.memcpyAsync(
                array.ctypes.data,
                memory.address + offset,
                array.nbytes,
                runtime.memcpyDeviceToHost,
                self._stream.ptr,
            )
            self._stream.synchronize()

    # -- programs --------------------------------------------------------------------

    def program(self, tasks: Sequence[Task]) -> Callable[[], None]:
        """The tasks as a CUDA graph, captured after they have run a few times."""
        return Captured(self._device, self._stream, self._calls(tasks)).run

    def _calls(self, tasks: Sequence[Task]) -> list[Callable[[], None]]:
        self.prepare([t for t in tasks if isinstance(t, Launch)])
        return [
            self._launch(self._functions[t.symbol], t)
            if isinstance(t, Launch)
            else self._product(t)
            for t in tasks
        ]

    def prepare(self, launches: Sequence[Launch]) -> None:
        """Compiles the kernels that are not there yet; CuPy keeps them on disk."""
        new = [t for t in launches if t.symbol not in self._functions]
        if not new:
            return
        options = (*OPTIONS, f"-I{source.include_folder()}")
        with self._device:
            text = source.module_text(new)
            module = self._cupy.RawModule(code=text, options=options)
            for symbol in {t.symbol for t in new}:
                self._functions[symbol] = module.get_function(symbol)

    def _launch(self, function: Any, launch: Launch) -> Callable[[], None]:
        raw = launch.arguments()
        by_value = raw.view(np.dtype([("bytes", "u1", raw.size)]))
        grid, block, args = (launch.blocks,), (launch.threads,), (by_value,)
        return lambda: function(grid, block, args)

    def _product(self, product: Product) -> Callable[[], None]:
        a, b, c = (self._view(o) for o in product)
        matmul, copyto = self._cupy.matmul, self._cupy.copyto
        if a.dtype == c.dtype:
            return lambda: matmul(a, b, out=c)
        # A wider result, float32 from 16-bit floats. The copies live as long as the
        # call: a captured graph uses their memory whenever it runs.
        with self._device, self._stream:
            wide_a, wide_b = (self._cupy.empty(x.shape, c.dtype) for x in (a, b))

        def multiply() -> None:
            copyto(wide_a, a)
            copyto(wide_b, b)
            matmul(wide_a, wide_b, out=c)

        return multiply

    def _view(self, operand: Operand) -> Any:
        """An operand as a CuPy array on the same memory."""
        cupy, item = self._cupy, ITEMSIZE[operand.dtype]
        spans = zip(operand.shape, operand.strides, strict=True)
        count = 1 + sum((n - 1) * s for n, s in spans) if operand.size else 0
        memory = cupy.cuda.UnownedMemory(operand.address, count * item, self)
        return cupy.ndarray(
            operand.shape,
            dtype=np.dtype(know(operand.dtype)),
            memptr=cupy.cuda.MemoryPointer(memory, 0),
            strides=tuple(s * item for s in operand.strides),
        )


class Captured:
    """Calls that become one CUDA graph once they have run a few times."""

    def __init__(self, device: Any, stream: Any, calls: list[Callable[[], None]]):
        self._device, self._stream, self._calls = device, stream, calls
        self._warm = 0
        self._graph: Any = None

    def run(self) -> None:
        """All calls, in order."""
        with self._device, self._stream:
            if self._graph is None and self._warm < WARM_UPS:
                self._warm += 1
                self._put()
                return
            if self._graph is None:
                self._stream.begin_capture()
                self._put()
                self._graph = self._stream.end_capture()
            self._graph.launch(stream=self._stream)

    def _put(self) -> None:
        for call in self._calls:
            call()
