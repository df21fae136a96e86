# SPDX-License-Identifier: Apache-2.0
"""NVRTC without a GPU, a driver or CuPy: what it makes of a module."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastnn.backends.cuda import source
from fastnn.backends.cuda.compiler import OPTIONS, Compiler

CACHE = Path(tempfile.gettempdir()) / f"fastnn-nvrtc-{os.getuid()}"


class Usage(NamedTuple):
    """What a kernel takes of a multiprocessor."""

    registers: int
    spilled: int  # bytes stored and loaded
    shared: int  # bytes


def _library_path() -> Path | None:
    spec = find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            return path
    return None


AVAILABLE = _library_path() is not None


@cache
def _library() -> ctypes.CDLL:
    path = _library_path()
    assert path is not None
    for builtins in path.parent.glob("libnvrtc-builtins.so*"):
        ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(path))


class NvrtcError(RuntimeError):
    """As of CuPy's binding."""


def _call(name: str, *arguments: object) -> None:
    status = getattr(_library(), f"nvrtc{name}")(*arguments)
    if status:
        raise NvrtcError(f"nvrtc{name}: {status}")


def _bytes(program: int, name: str) -> bytes:
    size = ctypes.c_size_t()
    _call(f"Get{name}Size", ctypes.c_void_p(program), ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    _call(f"Get{name}", ctypes.c_void_p(program), buffer)
    return buffer.raw


class Binding:
    """The functions of `cupy.cuda.nvrtc` that the compiler uses, without CuPy.

    Args:
        more: options beside those that it is given.
    """

    def __init__(self, *more: str) -> None:
        self._more = more
        self.logs: list[str] = []

    def getVersion(self) -> tuple[int, int]:
        major, minor = ctypes.c_int(), ctypes.c_int()
        _call("Version", ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def createProgram(self, text: str, name: str, headers: tuple, names: tuple) -> int:
        assert not headers
        assert not names
        program = ctypes.c_void_p()
        given = text.encode(), name.encode(), 0, None, None
        _call("CreateProgram", ctypes.byref(program), *given)
        assert program.value is not None
        return program.value

    def compileProgram(self, program: int, options: tuple[str, ...]) -> None:
        options = (*options, *self._more)
        given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        _call("CompileProgram", ctypes.c_void_p(program), len(options), given)
        self.logs.append(self.getProgramLog(program))

    def getCUBIN(self, program: int) -> bytes:
        return _bytes(program, "CUBIN")

    def getProgramLog(self, program: int) -> str:
        return _bytes(program, "ProgramLog")[:-1].decode()

    def destroyProgram(self, program: int) -> None:
        _call("DestroyProgram", ctypes.byref(ctypes.c_void_p(program)))


def compiled(text: str, arch: str) -> dict[str, Usage]:
    """The kernels of a module and what they use, compiled as the backend does.

    Known from the last time if nothing has changed since.

    Raises:
        BackendError: the module does not compile.
    """
    binding = Binding("--ptxas-options=-v", "--split-compile=0")
    made_by = repr((binding.getVersion(), OPTIONS, arch))
    key = hashlib.sha256(made_by.encode() + source.included(text) + text.encode())
    known = CACHE / f"{key.hexdigest()[:40]}.json"
    if known.exists():
        return {k: Usage(*u) for k, u in json.loads(known.read_text()).items()}
    with tempfile.TemporaryDirectory() as folder:
        cubin = Compiler(binding, arch, Path(folder)).cubin(text)
    assert cubin[:4] == b"\x7fELF"
    found = usages(binding.logs[-1])
    CACHE.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=CACHE, delete=False) as file:
        json.dump(found, file)
    Path(file.name).replace(known)
    return found


def usages(log: str) -> dict[str, Usage]:
    """ptxas's report, kernel by kernel."""
    found = {}
    for part in log.split("Compiling entry function ")[1:]:
        name = part.split("'")[1]
        spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", part)
        registers = re.search(r"Used (\d+) registers", part)
        shared = re.search(r"(\d+) bytes smem", part)
        assert spills is not None
        assert registers is not None
        found[name] = Usage(
            int(registers[1]),
            int(spills[1]) + int(spills[2]),
            int(shared[1]) if shared else 0,
        )
    return found
