# SPDX-License-Identifier: Apache-2.0
"""NVRTC without a GPU, a driver or CuPy: what it makes of a module."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastnn.backends.cuda import source

OPTIONS = ("--std=c++20", "--ptxas-options=-v", "--split-compile=0")


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


def _text(program: ctypes.c_void_p, name: str) -> str:
    library, size = _library(), ctypes.c_size_t()
    getattr(library, f"nvrtcGet{name}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{name}")(program, buffer)
    return buffer.value.decode()


def compiled(text: str, arch: str) -> dict[str, Usage]:
    """The kernels of a module and what they use, for "sm_90" and the like.

    Raises:
        RuntimeError: the module does not compile; the compiler's log.
    """
    library, program = _library(), ctypes.c_void_p()
    library.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"module.cu", 0, None, None
    )
    options = [*OPTIONS, f"--gpu-architecture={arch}", f"-I{source.include_folder()}"]
    given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
    try:
        failed = library.nvrtcCompileProgram(program, len(options), given)
        log = _text(program, "ProgramLog")
        if failed:
            errors = [line for line in log.splitlines() if "error" in line]
            raise RuntimeError("\n".join(errors[:20]) or log[:2000])
        size = ctypes.c_size_t()
        library.nvrtcGetCUBINSize(program, ctypes.byref(size))
        assert size.value > 0
        return usages(log)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


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
