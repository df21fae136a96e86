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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.backends.cuda import source
from fastnn.backends.cuda.launches import Launch, Operand, Product
from fastnn.backends.cuda.protocol import Memory
from fastnn.opset._dtypes import ITEMSIZE, know

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).parent / "cuda"
FLAGS = ("-std=c++20", "-O1", "-mfma", "-mavx2", "-ffp-contract=off", "-fPIC")
CACHE = Path(tempfile.gettempdir()) / f"fastnn-emulated-{os.getuid()}"


class Dim3(ctypes.Structure):
    """A CUDA dim3."""

    _fields_ = (
        ("x", ctypes.c_uint),
        ("y", ctypes.c_uint),
        ("z", ctypes.c_uint),
    )


def fingerprint() -> bytes:
    """Of everything a module includes."""
    root = source.include_folder()
    files = [*root.glob("cuda/*"), *root.glob("shared/**/*.h"), HERE / "emulator.hpp"]
    return b"".join(p.read_bytes() for p in sorted(files))


def compiled(launches: Sequence[Launch]) -> ctypes.CDLL:
    """The module of these launches, from the cache when nothing has changed."""
    text = '#include "emulator.hpp"\n' + source.module_text(launches)
    key = hashlib.sha256(text.encode() + fingerprint() + repr(FLAGS).encode())
    CACHE.mkdir(exist_ok=True)
    library = CACHE / f"{key.hexdigest()[:32]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            code, made = Path(folder, "module.cpp"), Path(folder, "module.so")
            code.write_text(text)
            compiler = os.environ.get("CXX", "c++")
            include = (f"-I{HERE}", f"-I{source.include_folder()}")
            subprocess.run(
                [compiler, *FLAGS, "-shared", *include, str(code), "-o", str(made)],
                check=True,
            )
            made.replace(library)
    return ctypes.CDLL(str(library))


class EmulatedDevice:
    """Device memory is memory; kernels run on the calling thread."""

    def __init__(self) -> None:
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
        memory.owner[offset : offset + flat.size] = flat

    def download(self, memory: Memory, offset: int, array: np.ndarray) -> None:
        flat = array.reshape(-1).view(np.uint8)
        flat[...] = memory.owner[offset : offset + flat.size]

    def program(self, tasks: Sequence[Launch | Product]) -> Callable[[], None]:
        self.prepare([t for t in tasks if isinstance(t, Launch)])

        def run() -> None:
            for task in tasks:
                self.run(task)

        return run

    def run(self, task: Launch | Product) -> None:
        """Executes one task."""
        if isinstance(task, Product):
            a, b, c = (view(o) for o in task)
            wide = np.float64 if c.dtype == np.float64 else np.float32
            c[...] = np.matmul(a.astype(wide), b.astype(wide)).astype(c.dtype)
            return
        arguments = task.arguments()
        self._functions[task.symbol](
            arguments.ctypes.data, Dim3(task.blocks, 1, 1), Dim3(task.threads, 1, 1)
        )


def view(operand: Operand) -> np.ndarray:
    """An operand's memory as an array."""
    dtype = np.dtype(know(operand.dtype))
    item = ITEMSIZE[operand.dtype]
    spans = zip(operand.shape, operand.strides, strict=True)
    count = 1 + sum((n - 1) * s for n, s in spans) if operand.size else 0
    raw = (ctypes.c_char * (count * item)).from_address(operand.address)
    flat = np.frombuffer(raw, dtype)
    strides = [s * item for s in operand.strides]
    return np.lib.stride_tricks.as_strided(flat, operand.shape, strides)
