# SPDX-License-Identifier: Apache-2.0
"""A stand-in for cuBLAS: a library with its name and the signatures of its functions
(cuda/fake_cublas.cpp), in which products wait in the streams of a `Machine`.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
import traceback
from ctypes import c_char_p, c_double, c_int64, c_size_t, c_void_p
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cuda_emulated import CACHE, COMPILER

from fastnn.backends.cuda.cublas import Factor, Gemm

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parent / "cuda" / "fake_cublas.cpp"
SONAME = "libcublas.so.13"
FAILED = 13  # CUBLAS_STATUS_EXECUTION_FAILED


class Handle(ctypes.Structure):
    _fields_ = (
        ("stream", c_void_p),
        ("workspace", c_void_p),
        ("workspace_bytes", c_size_t),
        ("math_mode", ctypes.c_int),
    )


class Matrix(ctypes.Structure):
    _fields_ = (
        ("data", c_void_p),
        ("type", c_int64),
        ("leading", c_int64),
        ("step", c_int64),
    )


class Call(ctypes.Structure):
    """What a function of the library was asked for."""

    _fields_ = (
        ("name", c_char_p),
        ("handle", Handle),
        *((name, c_int64) for name in ("transposed_a", "transposed_b", "m", "n", "k")),
        ("alpha", c_double),
        ("beta", c_double),
        ("a", Matrix),
        ("b", Matrix),
        ("c", Matrix),
        *((name, c_int64) for name in ("batch", "compute", "algorithm")),
    )

    def gemm(self) -> Gemm:
        def factor(x: Matrix, transposed: int) -> Factor:
            return Factor(x.data or 0, x.type, transposed, x.leading, x.step)

        a, b = factor(self.a, self.transposed_a), factor(self.b, self.transposed_b)
        c = factor(self.c, 0)
        return Gemm(self.m, self.n, self.k, a, b, c, self.batch, self.compute)


HOOK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Call))
_hooks: list[HOOK] = []  # the library has the last one


@cache
def library() -> ctypes.CDLL:
    """The stand-in, loaded: ctypes finds it by the name of cuBLAS from now on."""
    key = hashlib.sha256(SOURCE.read_bytes() + COMPILER.encode()).hexdigest()[:16]
    path = CACHE / f"fake-cublas-{key}.so"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        made = path.with_suffix(f".{id(path)}")
        flags = ("-std=c++20", "-shared", "-fPIC", f"-Wl,-soname,{SONAME}")
        subprocess.run([COMPILER, *flags, SOURCE, "-o", made], check=True)
        made.replace(path)
    return ctypes.CDLL(str(path))


def serve(hook: Callable[[Call], int]) -> None:
    """Calls of the library come to this function, which says their status."""

    def served(call: Any) -> int:
        try:
            return hook(call.contents)
        except BaseException:
            traceback.print_exc()  # which ctypes would drop
            return FAILED

    _hooks[:] = [HOOK(served)]
    library().fake_cublas_hook(_hooks[0])


def installed(pattern: str) -> Path:
    """A file of the package nvidia-cublas; the test is skipped without it."""
    spec = find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in Path(folder).glob(pattern):
            return path
    pytest.skip("needs the package nvidia-cublas")
