# SPDX-License-Identifier: Apache-2.0
"""A stand-in for CuPy 14 in memory of the host: what `CudaDevice` asks of it, with the
arguments that CuPy's functions take, and with streams as CUDA has them.

Work that is put on a stream waits there until somebody waits for the stream, for an
event on it, or for another stream that waits for the event: as late as a device may do
it, so that memory that is written or read too early has the wrong contents. What is put
on a stream in a capture goes into the graph. `Machine.log` has the names of what ran.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from cuda_emulated import Dim3, compiled_text, multiply
from cuda_fake_cublas import serve

from fastnn.backends.cuda.cublas import MATH_MODE
from fastnn.backends.cuda.libraries import WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from cuda_fake_cublas import Call

    from fastnn.backends.cuda.cublas import Gemm


UNIT = 512  # of memory in CuPy's pool


class CUDARuntimeError(RuntimeError):
    """As cupy.cuda.runtime has it."""


class CUDADriverError(RuntimeError):
    """As cupy.cuda.driver has it."""


class OutOfMemoryError(MemoryError):
    """As cupy.cuda.memory has it."""


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.stream: Any = None
        self.done = True
        self.captured = False

    def synchronize(self) -> None:
        if self.captured:
            raise CUDARuntimeError("cudaErrorCapturedEvent")
        while not self.done:
            self.stream.step()


class Stream:
    """One of a machine's; `put` is what CUDA does with a call."""

    def __init__(self, machine: Machine, name: str):
        self.machine, self.name = machine, name
        self.ptr = next(machine.numbers)
        machine.streams[self.ptr] = self
        self.queue: deque = deque()
        self.captured: list | None = None

    def put(self, label: str, work: Callable[[], None], after: Any = None) -> None:
        entry = label, work, after
        if self.captured is not None:
            self.captured.append(entry)
            return
        self.queue.append(entry)
        first = next(iter(self.machine.streams.values()))
        while self.machine.hasty and self is not first and self.queue:
            if self.queue[0][2] is not None and not self.queue[0][2].done:
                return
            self.step()

    def step(self) -> None:
        label, work, _ = self.queue.popleft()
        work()
        if label:
            self.machine.log.append(f"{self.name}: {label}")

    def synchronize(self) -> None:
        if any(s.captured is not None for s in self.machine.streams.values()):
            if self.captured is not None:
                self.captured.clear()
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported")
        self.machine.waits += 1
        while self.queue:
            self.step()

    def record(self, event=None):
        event = Event() if event is None else event
        event.stream, event.done = self, False
        event.captured = self.captured is not None

        def passed() -> None:
            event.done = True

        self.put("", passed)
        return event

    def wait_event(self, event) -> None:
        if event.captured != (self.captured is not None):
            raise CUDARuntimeError("cudaErrorStreamCaptureIsolation")
        self.put("", event.synchronize, event)

    def begin_capture(self, mode=None) -> None:
        assert self.captured is None
        self.captured = []
        self.machine.captures += 1

    def end_capture(self):
        if self.captured is None:
            raise CUDARuntimeError("cudaErrorIllegalState")
        nodes, self.captured = self.captured, None
        return Graph(nodes)

    def __enter__(self):
        self.machine.current.append(self)
        return self

    def __exit__(self, *error):
        self.machine.current.pop()


class Graph:
    def __init__(self, nodes):
        self.nodes = nodes

    def launch(self, stream=None) -> None:
        for node in self.nodes:
            stream.put(*node)


class Function:
    def __init__(self, machine: Machine, symbol: str, function: Any):
        self.machine, self.symbol = machine, symbol
        self.function = function
        function.argtypes, function.restype = (ctypes.c_void_p, Dim3, Dim3), None
        self.ptr, self.most_shared = id(self), 48 << 10
        Function.by_pointer[self.ptr] = self

    by_pointer: ClassVar[Any] = weakref.WeakValueDictionary()

    @staticmethod
    def set_attribute(pointer: int, attribute: int, value: int) -> None:
        assert attribute == 8
        function = Function.by_pointer[pointer]
        if value > function.machine.block_shared:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        function.most_shared = value

    def __call__(self, grid: tuple, block: tuple, args, shared_mem=0, stream=None):
        assert shared_mem <= self.most_shared, "a kernel asks for more than 48 KiB"
        (given,) = args
        assert given.size == 1, "CuPy takes arrays of one element by value"
        raw = given.tobytes()
        grid, block = (Dim3(*(x + (1, 1))[:3]) for x in (grid, block))

        def run() -> None:
            self.function(ctypes.create_string_buffer(raw, len(raw)), grid, block)

        (stream or self.machine.current[-1]).put(self.symbol, run)


class Module:
    def __init__(self, machine: Machine):
        self.machine = machine

    def load(self, cubin: bytes) -> None:
        self.machine.forbid_in_capture("a module loads")
        self.library = ctypes.CDLL(cubin.decode())

    def get_function(self, name: str) -> Function:
        return Function(self.machine, name, getattr(self.library, name))


class Nvrtc:
    """Its cubin is the path of a library of the host."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}

    def getVersion(self):
        return 13, 0

    def createProgram(self, src, name, headers, include_names):
        assert not headers
        assert not include_names
        self.texts[len(self.texts)] = src
        return len(self.texts) - 1

    def compileProgram(self, prog, options):
        assert "--gpu-architecture=sm_90" in options

    def getCUBIN(self, prog):
        return str(compiled_text(self.texts[prog])).encode()

    def destroyProgram(self, prog):
        assert prog in self.texts


class Device:
    """The context of one device."""

    compute_capability = "90"

    def __init__(self, machine: Machine, index: int):
        self.machine, self.id = machine, index

    @property
    def mem_info(self):
        return self.machine.memory - self.machine.used, self.machine.memory

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Machine:
    """What the module has in common; `cupy` is the module.

    Args:
        devices: how many there are.
        memory: bytes of each.
        driver: what CUDA says where it is missing.

    Attributes:
        hasty: streams but the first run their work as early as they may.
        waits: how often the host waited for a stream.
        captures: how often one was captured.
    """

    def __init__(self, devices: int = 1, memory: int = 1 << 30, driver: str = ""):
        self.devices, self.memory, self.driver = devices, memory, driver
        self.hasty = False
        self.waits = self.captures = 0
        self.block_shared = 227 << 10
        self.lockable = 1 << 40  # bytes of the host
        self.numbers = itertools.count(1000)
        self.streams: dict[int, Stream] = {}
        self.current: list[Stream] = []
        self.log: list[str] = []
        self.copies: list[tuple[str, int]] = []  # direction and bytes
        self.used = self.kept = self.freed = 0
        self.blocks: list[np.ndarray] = []  # work that waits may still use them
        self.pinned: list[np.ndarray] = []
        self.cublas_status = 0
        self.gemms: list[Gemm] = []
        serve(self.cublas)
        self.cupy = self._module()

    def alloc(self, size: int):
        assert self.current, "memory of a pool belongs to a stream"
        self.forbid_in_capture("a graph would use memory that is given back")
        if self.used + size > self.memory:
            raise OutOfMemoryError(f"Out of memory allocating {size} bytes")
        block = np.full(size + UNIT, 0x5A, np.uint8)
        self.blocks.append(block)
        self.used += size
        pointer = SimpleNamespaceRef(ptr=-(-block.ctypes.data // UNIT) * UNIT)
        weakref.finalize(pointer, self._free, size)
        return pointer

    def _free(self, size: int) -> None:
        self.used -= size

    def alloc_pinned(self, size: int):
        self.forbid_in_capture("cudaHostAlloc")
        if size > self.lockable:
            raise CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")
        block = np.full(size, 0x5A, np.uint8)
        self.pinned.append(block)
        return memoryview(block)

    def attribute(self, which: int, index: int) -> int:
        assert which == 97
        return self.block_shared

    def get_device_count(self) -> int:
        if self.driver:
            raise CUDARuntimeError(self.driver)
        return self.devices

    def memcpy_async(self, dst, src, size, kind, stream) -> None:
        self.forbid_in_capture("a graph would copy from where the host had its data")
        self.copies.append((kind, size))
        self.streams[stream].put(kind, lambda: ctypes.memmove(dst, src, size))

    def cublas(self, call: Call) -> int:
        """What the library does for a call."""
        name = call.name.decode()
        if name == "Create_v2":
            assert not self.capturing(), "it allocates"
            return self.cublas_status
        handle = call.handle
        assert (handle.workspace or 0) % 256 == 0
        assert handle.workspace_bytes == WORKSPACE, "of ours, or capture allocates"
        assert handle.math_mode == MATH_MODE
        assert (call.alpha, call.beta, call.algorithm) == (1, 0, -1)
        gemm = call.gemm()
        self.gemms.append(gemm)
        self.streams[handle.stream].put(name, lambda: multiply(gemm))
        return self.cublas_status

    def cupy_gemm(self, *arguments) -> None:
        """CuPy's own way asks first whether the stream is captured."""
        if self.current[-1].captured is not None:
            raise NotImplementedError(
                "calling cuBLAS API during stream capture is currently unsupported"
            )
        raise AssertionError("the backend has a handle of its own")

    def capturing(self) -> bool:
        return any(s.captured is not None for s in self.streams.values())

    def forbid_in_capture(self, what: str) -> None:
        """What CUDA refuses within a capture, or what would be wrong in a graph."""
        if self.capturing():
            raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what}")

    def pool_freed(self) -> None:
        self.freed += 1

    def _module(self) -> Any:
        runtime = SimpleNamespace(
            CUDARuntimeError=CUDARuntimeError,
            getDeviceCount=self.get_device_count,
            runtimeGetVersion=lambda: 13020,
            cudaDevAttrMaxSharedMemoryPerBlockOptin=97,
            deviceGetAttribute=self.attribute,
            memcpyAsync=self.memcpy_async,
            memcpyHostToDevice="up",
            memcpyDeviceToHost="down",
            memcpyDeviceToDevice="across",
        )
        count = itertools.count()
        cuda = SimpleNamespace(
            runtime=runtime,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            nvrtc=Nvrtc(),
            cublas=SimpleNamespace(
                gemmEx=self.cupy_gemm, gemmStridedBatchedEx=self.cupy_gemm
            ),
            get_current_stream=lambda: self.current[-1],
            Device=lambda index: Device(self, index),
            Stream=lambda null=False, non_blocking=False: Stream(
                self, f"stream {next(count)}"
            ),
            Event=Event,
            driver=SimpleNamespace(
                CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES=8,
                funcSetAttribute=Function.set_attribute,
            ),
            Module=lambda: Module(self),
            alloc=self.alloc,
            alloc_pinned_memory=self.alloc_pinned,
        )
        pool = SimpleNamespace(free_all_blocks=self.pool_freed, free_bytes=lambda: 0)
        return SimpleNamespace(
            __version__="14.2.0",
            cuda=cuda,
            get_default_memory_pool=lambda: pool,
            get_default_pinned_memory_pool=lambda: pool,
        )


class SimpleNamespaceRef(SimpleNamespace):
    """One that can be weakly referenced."""

    __hash__ = object.__hash__
