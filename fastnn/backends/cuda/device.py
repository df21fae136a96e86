# SPDX-License-Identifier: Apache-2.0
"""A CUDA device through CuPy, which nothing else here imports."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import config
from fastnn.backends.cuda import cublas, cublaslt, cudnn, libraries
from fastnn.backends.cuda.beside import merged
from fastnn.backends.cuda.compiler import (
    Compiler,
    built_with_the_package,
    cache_folder,
)
from fastnn.backends.cuda.launches import Convolution, Launch, Operand, Product
from fastnn.backends.cuda.protocol import Memory
from fastnn.backends.cuda.rules import conv_ways
from fastnn.errors import BackendError
from fastnn.opset._dtypes import ITEMSIZE, know

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastnn.backends.cuda.launches import Task
    from fastnn.backends.cuda.protocol import Mark

    Call = Callable[[], None]

WARM_UPS = 2  # runs before a program is captured: libraries choose and allocate then
# Steps captured together, so that the processor launches less often than the device
# needs new work; at most so many kernels in one graph.
STEPS_TOGETHER, MOST_NODES = 16, 512

# A learning rate, say, goes along with the work: the host keeps a copy, and goes on.
# At most so many bytes each, and so many of them.
SENT_ALONG, MOST_SENT = 64 << 10, 256

STAY = 'stay with fastnn.config.set_backend("cpu")'


def import_cupy() -> Any:
    """The cupy module.

    Raises:
        BackendError: it is not installed, or there is no device or driver.
    """
    try:
        import cupy
    except ImportError as error:
        raise BackendError(
            f"[cuda] CuPy cannot be imported ({str(error).strip()}): pip install "
            f"'fastnn[cuda13]' brings it with CUDA's libraries, or {STAY}"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        if "NoDevice" in str(error):
            count = 0
        else:
            raise BackendError(
                f"[cuda] no usable driver ({error}): install NVIDIA's driver for CUDA "
                f"13 (580 or newer), or {STAY}"
            ) from error
    if not count:
        raise BackendError(
            "[cuda] no device: `nvidia-smi` lists what the driver sees, and "
            f"CUDA_VISIBLE_DEVICES may hide it; or {STAY}"
        )
    return cupy


_devices: dict[int, CudaDevice] = {}
_opening = threading.Lock()


def device(index: int = 0) -> CudaDevice:
    """The device of that number, one object for the whole process.

    Raises:
        BackendError: there is none, or no driver, or no CuPy.
    """
    with _opening:
        if index not in _devices:
            _devices[index] = CudaDevice(index)
        return _devices[index]


def opened() -> list[CudaDevice]:
    """The devices that were asked for in this process."""
    return list(_devices.values())


class CudaDevice:
    """Memory and one stream of a GPU; see protocol.Device.

    Args:
        index: which GPU, as CUDA counts them.
    """

    def __init__(self, index: int = 0) -> None:
        cupy = self._cupy = import_cupy()
        count = cupy.cuda.runtime.getDeviceCount()
        if index >= count:
            raise BackendError(
                f"[cuda] there is no gpu:{index}; there are {count}, from gpu:0 to "
                f"gpu:{count - 1}"
            )
        self.index = index
        self._device = cupy.cuda.Device(index)
        runtime = cupy.cuda.runtime
        most = runtime.cudaDevAttrMaxSharedMemoryPerBlockOptin
        self.shared_bytes = int(runtime.deviceGetAttribute(most, index))
        self._sent_along: list[np.ndarray] = []  # what the stream may still read
        self._functions: dict[str, Any] = {}  # compiled kernels by symbol
        self._most_shared: dict[str, int] = {}  # bytes that they may ask for
        architecture = f"sm_{self._device.compute_capability}"
        self.architecture = architecture
        cublaslt.read_table(architecture)
        conv_ways.read_table(architecture)
        self._compiler = Compiler(
            cupy.cuda.nvrtc, architecture, cache_folder(), built_with_the_package()
        )
        with self._device:
            self._stream = self._new_stream()
        self._workspace: Memory | None = None  # of the libraries
        self._blas: cublas.Blas | None = None
        self._lt: cublaslt.BlasLt | None = None
        self._dnn: cudnn.Dnn | None = None
        self._copies: Any = None  # a stream for data that are sent beside the work

    # -- memory ----------------------------------------------------------------------

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

    def _transfer(self, to: int, source: int, nbytes: int, kind: str) -> None:
        runtime = self._cupy.cuda.runtime
        with self._device:
            direction = getattr(runtime, f"memcpy{kind}")
            runtime.memcpyAsync(to, source, nbytes, direction, self._stream.ptr)

    def upload(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes of a contiguous array to the device."""
        flat = np.ascontiguousarray(array)
        if not flat.nbytes:
            return
        small = flat.nbytes <= SENT_ALONG
        if small:
            flat = flat.copy()
            self._sent_along.append(flat)
        at = memory.address + offset
        self._transfer(at, flat.ctypes.data, flat.nbytes, "HostToDevice")
        if not small or len(self._sent_along) > MOST_SENT:
            self.synchronize()  # `array` may change after the call

    def download(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        """Bytes into a contiguous array, after all work before."""
        if array.nbytes:
            source = memory.address + offset
            self._transfer(array.ctypes.data, source, array.nbytes, "DeviceToHost")
            self.synchronize()

    def copy(self, to: int, source: int, nbytes: int) -> None:
        """Bytes from one address of the device to another."""
        if nbytes:
            self._transfer(to, source, nbytes, "DeviceToDevice")

    def free(self) -> int:
        """Bytes that can still be allocated: the system's and the pool's."""
        pool = self._cupy.get_default_memory_pool()
        with self._device:
            return int(self._device.mem_info[0] + pool.free_bytes())

    def pinned(self, nbytes: int) -> np.ndarray:
        """Page-locked bytes of the host.

        Raises:
            BackendError: the system does not lock as many.
        """
        with self._device:
            try:
                block = self._cupy.cuda.alloc_pinned_memory(max(nbytes, 1))
            except self._cupy.cuda.runtime.CUDARuntimeError as error:
                raise BackendError(
                    f"[cuda] {nbytes} bytes of page-locked memory wanted ({error}), "
                    f"through which data go that do not fit the GPU: give the host "
                    f"(a container: --memory, --ulimit memlock) more, take smaller "
                    f"batches, or give `fit` a generator, which needs none"
                ) from error
        return np.frombuffer(block, np.uint8, nbytes)

    def send(self, to: int, array: np.ndarray, after: Mark) -> Mark:
        """Copies on a stream beside the device's, which waits for it."""
        with self._device:
            if self._copies is None:
                self._copies = self._new_stream()
            self._copies.wait_event(after)
            runtime, stream = self._cupy.cuda.runtime, self._copies.ptr
            kind, source = runtime.memcpyHostToDevice, array.ctypes.data
            runtime.memcpyAsync(to, source, array.nbytes, kind, stream)
            done: Mark = self._copies.record(self._new_event())
            self._stream.wait_event(done)
        return done

    def mark(self) -> Mark:
        """The end of the work so far."""
        with self._device:
            made: Mark = self._stream.record(self._new_event())
        return made

    def _new_event(self) -> Any:
        return self._cupy.cuda.Event(disable_timing=True)

    def synchronize(self) -> None:
        """Waits for all work."""
        sent, self._sent_along = self._sent_along, []
        with self._device:
            self._stream.synchronize()
        del sent  # is there now

    def release(self) -> None:
        """Gives memory that nobody holds back to the system."""
        with self._device:
            self._cupy.get_default_memory_pool().free_all_blocks()
            self._cupy.get_default_pinned_memory_pool().free_all_blocks()

    # -- other libraries -------------------------------------------------------------

    def export(self, operand: Operand, owner: Any, **options: Any) -> Any:
        """A DLPack capsule of an operand, whose memory `owner` keeps."""
        with self._device, self._stream:
            return self._view(operand, owner).__dlpack__(**options)

    def interface(self, operand: Operand, owner: Any) -> dict[str, Any]:
        """What `__cuda_array_interface__` says of an operand."""
        with self._device, self._stream:
            found: dict[str, Any] = self._view(operand, owner).__cuda_array_interface__
        return found

    def adopt(self, x: Any) -> tuple[Memory, Operand]:
        """The memory of another library's array, and the array in it."""
        with self._device, self._stream:
            array = self._cupy.from_dlpack(x)
        item = array.dtype.itemsize
        strides = tuple(s // item for s in array.strides)
        operand = Operand(array.data.ptr, array.dtype.name, array.shape, strides)
        return Memory(array.data.ptr, array.nbytes, array), operand

    def _view(self, operand: Operand, owner: Any) -> Any:
        """An operand as a CuPy array on the same memory."""
        cupy, item = self._cupy, ITEMSIZE[operand.dtype]
        spans = zip(operand.shape, operand.strides, strict=True)
        count = 1 + sum((n - 1) * s for n, s in spans) if operand.size else 0
        address = operand.address
        memory = cupy.cuda.UnownedMemory(address, count * item, owner, self.index)
        return cupy.ndarray(
            operand.shape,
            dtype=np.dtype(know(operand.dtype)),
            memptr=cupy.cuda.MemoryPointer(memory, 0),
            strides=tuple(s * item for s in operand.strides),
        )

    # -- programs --------------------------------------------------------------------

    def program(self, tasks: Sequence[Task]) -> Callable[[int], None]:
        """The tasks as a CUDA graph, captured after they have run a few times."""
        calls = self._calls(merged(tasks))
        return Captured(self._device, self._stream, self._new_stream, calls).run

    def _new_stream(self) -> Any:
        return self._cupy.cuda.Stream(non_blocking=True)

    def execute(self, tasks: Sequence[Task]) -> None:
        """The tasks once, now."""
        calls = self._calls(tasks)
        with self._device, self._stream:
            for call in calls:
                call()

    def _calls(self, tasks: Sequence[Task]) -> list[Call]:
        self.prepare([t for t in tasks if isinstance(t, Launch)])
        with self._device:  # handles of libraries belong to the current one
            return [
                self._launch(self._functions[t.symbol], t)
                if isinstance(t, Launch)
                else self._library_call(t)
                for t in tasks
            ]

    def prepare(self, launches: Sequence[Launch]) -> None:
        """Compiles the kernels that are not there yet."""
        new = [t for t in launches if t.symbol not in self._functions]
        if not new:
            return
        made = self._compiler.cubins(new)
        with self._device:
            for cubin, symbols in made:
                module = self._cupy.cuda.Module()
                module.load(cubin)
                for symbol in symbols:
                    self._functions[symbol] = module.get_function(symbol)

    def _launch(self, function: Any, launch: Launch) -> Call:
        raw = launch.arguments()
        # CuPy passes an array of one element by value, whatever its type.
        by_value = raw.view(np.dtype([("bytes", "u1", raw.size)]))
        grid, block, args = launch.grid, (launch.threads,), (by_value,)
        shared, symbol = launch.shared, launch.symbol
        if shared > self._most_shared.get(symbol, 0):  # above 48 KiB it must be allowed
            self._most_shared[symbol] = shared
            driver = self._cupy.cuda.driver
            most = driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            driver.funcSetAttribute(function.ptr, most, shared)
        return lambda: function(grid, block, args, shared)

    def _library_call(self, task: Product | Convolution) -> Call:
        """A call of a library on the current stream."""
        if isinstance(task, Product):
            run = self._product(task)
        else:
            if self._dnn is None:
                self._dnn = cudnn.Dnn(cudnn.load(), self.allocate)
            run = self._dnn.prepare(task)
        current = self._cupy.cuda.get_current_stream
        return lambda: run(current().ptr)

    def _product(self, product: Product) -> Callable[[int], None]:
        """By cuBLAS or cuBLASLt."""
        rounded = config.float32_matmul_precision() == "high"
        if product.bias is None:
            if self._blas is None:
                self._blas = cublas.Blas(*self._library(cublas.NAME))
            call = cublas.library_call(product, tf32=rounded)
            return self._blas.prepare(call)
        if self._lt is None:
            self._lt = cublaslt.BlasLt(*self._library(cublaslt.NAME))
        return self._lt.prepare(cublaslt.fused_call(product, tf32=rounded))

    def _library(self, name: str) -> tuple[Any, int]:
        """A library, and the workspace of all."""
        lib = libraries.load(self._cupy, name)
        if self._workspace is None:
            self._workspace = self.allocate(libraries.WORKSPACE)
        return lib, self._workspace.address


class Captured:
    """Calls that become CUDA graphs once they have run a few times.

    They run on the stream of the device and are captured on one of their own: what
    another thread put on the first meanwhile would go into the graph and not run.

    Args:
        device, stream: contexts of CuPy.
        new_stream: makes another stream.
        calls: put their work on the current stream.
    """

    def __init__(
        self,
        device: Any,
        stream: Any,
        new_stream: Callable[[], Any],
        calls: list[Call],
    ) -> None:
        self._device, self._stream, self._calls = device, stream, calls
        self._new_stream = new_stream
        self._warm = 0
        self._graphs: dict[int, Any] = {}  # by how many steps they have
        most = MOST_NODES // max(len(calls), 1)
        self._together = max(1, min(STEPS_TOGETHER, most))

    def run(self, steps: int = 1) -> None:
        """All calls in order, so many times."""
        with self._device, self._stream:
            while steps and self._warm < WARM_UPS:
                self._warm += 1
                steps -= 1
                self._put()
            while steps:
                count = self._together if steps >= self._together else 1
                self._graph(count).launch(stream=self._stream)
                steps -= count

    def _graph(self, count: int) -> Any:
        graph = self._graphs.get(count)
        if graph is None:
            private = self._new_stream()
            with private:
                private.begin_capture()
                try:
                    for _ in range(count):
                        self._put()
                except BaseException:
                    # The stream must not stay in its capture; that a broken one does
                    # not end well is no news beside what broke it.
                    with suppress(Exception):
                        private.end_capture()
                    raise
                graph = private.end_capture()
            self._graphs[count] = graph
        return graph

    def _put(self) -> None:
        for call in self._calls:
            call()
