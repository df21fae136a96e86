# SPDX-License-Identifier: Apache-2.0
"""A device that is the CPU: kernels of csrc/cuda compiled by the C++ compiler and run
thread by thread (emulator.hpp), matrix products by NumPy.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backends.cuda import source
from fastnn.backends.cuda.beside import merged
from fastnn.backends.cuda.cublas import COMPUTE_64F, DATA_TYPES, library_call
from fastnn.backends.cuda.launches import Convolution, Launch, Operand, Product, Task
from fastnn.backends.cuda.protocol import Memory
from fastnn.opset._dtypes import know

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastnn.backends.cuda.cublas import Factor, Gemm

HERE = Path(__file__).parent / "cuda"
# Hidden: shared memory is this module's, and known by its place (races.cpp).
FLAGS = (
    *("-std=c++20", "-O1", "-mfma", "-mavx2", "-ffp-contract=off", "-fPIC"),
    "-fvisibility=hidden",
)
COMPILER = os.environ.get("CXX", "c++")
CACHE = Path(tempfile.gettempdir()) / f"fastnn-emulated-{os.getuid()}"


class Dim3(ctypes.Structure):
    """A CUDA dim3."""

    _fields_ = (
        ("x", ctypes.c_uint),
        ("y", ctypes.c_uint),
        ("z", ctypes.c_uint),
    )


@cache
def fingerprint() -> bytes:
    """Of the emulator."""
    own = (HERE / "emulator.hpp", HERE / "races.hpp", HERE / "races.cpp")
    return b"".join(path.read_bytes() for path in own)


def compiled(launches: Sequence[Launch]) -> ctypes.CDLL:
    """The module of these launches, from the cache when nothing has changed."""
    return ctypes.CDLL(str(compiled_text(source.module_text(launches))))


def compiled_text(text: str) -> Path:
    """The library of a module's text."""
    key = hashlib.sha256(text.encode() + source.included(text) + fingerprint())
    key.update(repr((COMPILER, FLAGS)).encode())
    text = f'#include "emulator.hpp"\n{text}'
    CACHE.mkdir(exist_ok=True)
    library = CACHE / f"{key.hexdigest()[:32]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            code, kernels = Path(folder, "module.cpp"), Path(folder, "module.o")
            code.write_text(text)
            made = Path(folder, "module.so")
            _compile("-fsanitize=thread", "-c", code, "-o", kernels)
            # Without that flag: its library is what races.cpp stands for.
            _compile("-shared", kernels, HERE / "races.cpp", "-o", made)
            made.replace(library)
    return library


def _compile(*arguments: str | Path) -> None:
    include = (f"-I{HERE}", f"-I{source.include_folder()}")
    command = [COMPILER, *FLAGS, *include, *map(str, arguments)]
    subprocess.run(command, check=True)


class EmulatedDevice:
    """Device memory is memory; kernels run on the calling thread."""

    def __init__(self, index: int = 0) -> None:
        self.index = index
        self.shared_bytes = 227 << 10  # of sm_90
        self.uploads: list[int] = []  # bytes of each transfer
        self.downloads: list[int] = []
        self.sent: list[int] = []
        self.released = 0
        self.room = 1 << 40
        self._functions: dict[str, Any] = {}

    def prepare(self, launches: Sequence[Launch]) -> None:
        new = [t for t in launches if t.symbol not in self._functions]
        if new:
            library = compiled(new)
            for symbol in {t.symbol for t in new}:
                function = getattr(library, symbol)
                function.argtypes = (ctypes.c_void_p, Dim3, Dim3)
                function.restype = None
                self._functions[symbol] = function

    def allocate(self, nbytes: int) -> Memory:
        block = np.full(nbytes + 64, 0x5A, np.uint8)
        return Memory(block.ctypes.data, nbytes, block)

    def upload(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self.uploads.append(flat.size)
        memory.owner[offset : offset + flat.size] = flat

    def download(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        flat = array.reshape(-1).view(np.uint8)
        self.downloads.append(flat.size)
        flat[...] = memory.owner[offset : offset + flat.size]

    def copy(self, to: int, source: int, nbytes: int) -> None:
        ctypes.memmove(to, source, nbytes)

    def free(self) -> int:
        return self.room

    def pinned(self, nbytes: int) -> np.ndarray:
        return np.full(nbytes, 0x5A, np.uint8)

    def send(self, to: int, array: np.ndarray, after: Any) -> Any:
        self.sent.append(array.nbytes)
        ctypes.memmove(to, array.ctypes.data, array.nbytes)
        return self

    def mark(self) -> Any:
        return self

    def synchronize(self) -> None:
        pass

    def release(self) -> None:
        self.released += 1

    def export(self, operand: Operand, owner: Any, **options: Any) -> Any:
        return view(operand).__dlpack__()

    def interface(self, operand: Operand, owner: Any) -> dict[str, Any]:
        found = dict(view(operand).__array_interface__)
        return found | {"data": (operand.address, False)}

    def adopt(self, x: Any) -> tuple[Memory, Operand]:
        array: np.ndarray = x.array
        strides = tuple(s // array.itemsize for s in array.strides)
        place, size = array.ctypes.data, array.nbytes
        memory = np.frombuffer((ctypes.c_char * size).from_address(place), np.uint8)
        operand = Operand(place, array.dtype.name, array.shape, strides)
        return Memory(place, size, memory), operand

    def program(self, tasks: Sequence[Task]) -> Callable[[int], None]:
        tasks = merged(tasks)
        self.prepare([t for t in tasks if isinstance(t, Launch)])

        def run(steps: int) -> None:
            for _ in range(steps):
                for task in tasks:
                    self.run(task)

        return run

    def execute(self, tasks: Sequence[Task]) -> None:
        self.program(tasks)(1)

    def run(self, task: Task) -> None:
        """Executes one task."""
        if isinstance(task, Product):
            multiply(library_call(task))
            if task.bias is not None:
                follow(task)
            return
        if isinstance(task, Convolution):
            convolve(task)
            return
        arguments = task.arguments()
        self._functions[task.symbol](
            arguments.ctypes.data, Dim3(*task.grid, 1), Dim3(task.threads, 1, 1)
        )


def view(operand: Operand) -> np.ndarray:
    """An operand's memory as an array."""
    dtype = np.dtype(know(operand.dtype))
    spans = zip(operand.shape, operand.strides, strict=True)
    count = 1 + sum((n - 1) * s for n, s in spans) if operand.size else 0
    raw = (ctypes.c_char * (count * dtype.itemsize)).from_address(operand.address)
    flat = np.frombuffer(raw, dtype)
    strides = [s * dtype.itemsize for s in operand.strides]
    return np.lib.stride_tricks.as_strided(flat, operand.shape, strides)


_TYPES = {code: name for name, code in DATA_TYPES.items()}


def multiply(gemm: Gemm) -> None:
    """What cuBLAS does for a call: column-major, the sum in float32 or float64."""
    c = gemm.c
    for i in range(gemm.batch):
        a = matrix(gemm.a, i, gemm.rows, gemm.depth)
        b = matrix(gemm.b, i, gemm.depth, gemm.columns)
        wide = np.float64 if gemm.compute == COMPUTE_64F else np.float32
        to = matrix(c, i, gemm.rows, gemm.columns)
        to[...] = np.matmul(a.astype(wide), b.astype(wide)).astype(to.dtype)


def convolve(task: Convolution) -> None:
    """What cuDNN does for a task, tap by tap, summed in float64."""
    x, w, y = (view(end).astype("float64") for end in task[:3])
    groups = x.shape[-1] // w.shape[-1]
    edges = [(0, 0), *zip(task.before, task.after, strict=True), (0, 0)]
    wide = np.pad(x, edges)
    xs = wide.reshape(*wide.shape[:-1], groups, -1)
    ws = w.reshape(groups, -1, *w.shape[1:])
    ys = y.reshape(*y.shape[:-1], groups, -1)
    written = {"x": xs, "w": ws, "y": ys}[task.written]
    written[...] = 0
    for tap in np.ndindex(*w.shape[1:-1]):
        steps = zip(tap, task.dilations, task.strides, y.shape[1:-1], strict=True)
        under = (slice(None), *(slice(t * d, t * d + s * n, s) for t, d, s, n in steps))
        of_x, of_w = xs[under], ws[(slice(None), slice(None), *tap)]
        if task.written == "y":
            ys += np.einsum("...gc,gkc->...gk", of_x, of_w)
        elif task.written == "x":
            of_x += np.einsum("...gk,gkc->...gc", ys, of_w)
        else:
            pixels = (a.reshape(-1, *a.shape[-2:]) for a in (of_x, ys))
            of_w += np.einsum("pgc,pgk->gkc", *pixels)
    inner = tuple(
        slice(b, b + n) for b, n in zip(task.before, x.shape[1:-1], strict=True)
    )
    found = {"x": wide[(slice(None), *inner)], "w": ws, "y": ys}[task.written]
    to = view({"x": task.x, "w": task.w, "y": task.y}[task.written])
    to[...] = found.reshape(to.shape).astype(to.dtype)


def follow(product: Product) -> None:
    """What cuBLASLt does after the sum, here on what it has rounded."""
    y = view(product.c)
    assert product.bias is not None
    z = y.astype("float32") + view(product.bias).astype("float32")
    y[...] = EPILOGUES[product.then](z)


def gelu_tanh(z: np.ndarray) -> np.ndarray:
    """Hendrycks and Gimpel 2016, the approximation."""
    return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


EPILOGUES = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "gelu_tanh": gelu_tanh,
}


def matrix(factor: Factor, index: int, rows: int, columns: int) -> np.ndarray:
    """Of a batch, as the call means it: op(factor) with this shape."""
    if factor.transposed:
        return matrix(factor._replace(transposed=0), index, columns, rows).T
    assert factor.leading >= max(rows, 1), "cuBLAS refuses it"
    dtype = np.dtype(know(_TYPES[factor.data_type]))
    address = factor.address + index * factor.step * dtype.itemsize
    count = (columns - 1) * factor.leading + rows
    raw = (ctypes.c_char * (count * dtype.itemsize)).from_address(address)
    steps = (dtype.itemsize, factor.leading * dtype.itemsize)
    flat = np.frombuffer(raw, dtype)
    return np.lib.stride_tricks.as_strided(flat, (rows, columns), steps)
