# SPDX-License-Identifier: Apache-2.0
"""NVRTC, and what it made kept on disk; or kernels that nvcc built with the package.

Not through `cupy.RawModule`: that flushes float32 subnormals to zero (-ftz=true), and
its cache does not look into the files that a text includes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fastnn.backends.cuda import source
from fastnn.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.launches import Launch

# Sums and products are fused by name where the CPU fuses them (shared/hd.h).
MODULE_KERNELS = 16
OPTIONS = ("--std=c++20", "--fmad=false")


def options(architecture: str) -> tuple[str, ...]:
    """Of every compilation, for "sm_90" and the like."""
    folder = source.include_folder()
    return (*OPTIONS, f"--gpu-architecture={architecture}", f"-I{folder}")


def cache_folder() -> Path:
    """`FASTNN_CUDA_CACHE`, else a folder of the user's cache."""
    given = os.environ.get("FASTNN_CUDA_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "fastnn" / "cuda"


def fingerprint() -> str:
    """Of all that a kernel is made of, whatever compiles it."""
    every = "".join(f'#include "{name}"\n' for name in source.headers())
    return hashlib.sha256(repr(OPTIONS).encode() + source.included(every)).hexdigest()


class Prebuilt(Protocol):
    """Kernels that nvcc compiled with the package (csrc/bindings/cuda).

    Attributes:
        fingerprint: of the text that they were made of.
        architectures: compute capabilities, ascending: "80 90".
        kernels: the group of each symbol.
    """

    fingerprint: str
    architectures: str
    kernels: dict[str, str]

    def fatbin(self, group: str) -> bytes:
        """The kernels of a group for all architectures, and PTX for newer ones."""


@cache
def built_with_the_package() -> Prebuilt | None:
    """`fastnn._cuda_kernels` of a build with -DFASTNN_CUDA=ON; None in others, and when
    the kernels have changed since.
    """
    try:
        module: Any = import_module("fastnn._cuda_kernels")
    except ImportError:
        return None
    return module if module.fingerprint == fingerprint() else None


def _number(architectures: str) -> int:
    """The compute capability of "sm_90", the first of "80 90"."""
    return int(architectures.removeprefix("sm_").split()[0])


def _modules(launches: Sequence[Launch]) -> list[dict[str, Launch]]:
    """Kernels by symbol that are compiled together: of one header, and not too many,
    for each module has one thread.
    """
    headers: dict[str, dict[str, Launch]] = {}
    for launch in launches:
        headers.setdefault(launch.header, {})[launch.symbol] = launch
    found = []
    for kernels in headers.values():
        symbols = sorted(kernels)
        found += [
            {s: kernels[s] for s in symbols[i : i + MODULE_KERNELS]}
            for i in range(0, len(symbols), MODULE_KERNELS)
        ]
    return found


class Compiler:
    """Makes cubins of launches, a module for each header or a part of it, in parallel.

    Kernels that were built with the package are taken from there.

    Args:
        nvrtc: CuPy's binding: getVersion, createProgram, compileProgram, getCUBIN,
            getProgramLog, destroyProgram.
        architecture: "sm_90" and the like.
        folder: where cubins are kept.
        prebuilt: kernels that need not be compiled.
    """

    def __init__(
        self,
        nvrtc: Any,
        architecture: str,
        folder: Path,
        prebuilt: Prebuilt | None = None,
    ) -> None:
        if prebuilt and _number(architecture) < _number(prebuilt.architectures):
            prebuilt = None  # the device is older than all of them
        self._prebuilt = prebuilt
        self._nvrtc = nvrtc
        self._options = options(architecture)
        self._folder = folder
        made_by = repr((nvrtc.getVersion(), OPTIONS, architecture)).encode()
        self._salt = hashlib.sha256(made_by).digest()

    def cubins(self, launches: Sequence[Launch]) -> list[tuple[bytes, set[str]]]:
        """(cubin, symbols of its kernels) that together have all of the launches.

        Raises:
            BackendError: a module does not compile, with the compiler's first errors.
        """
        made, launches = self._built(launches)
        modules = _modules(launches)
        texts = [source.module_text(list(m.values())) for m in modules]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            cubins = list(pool.map(self.cubin, texts))
        return [*made, *zip(cubins, map(set, modules), strict=True)]

    def _built(
        self, launches: Sequence[Launch]
    ) -> tuple[list[tuple[bytes, set[str]]], list[Launch]]:
        """The groups of prebuilt kernels that have some of the launches, and the rest.

        A group comes with all of its symbols, so that nobody asks for it again.
        """
        if self._prebuilt is None:
            return [], list(launches)
        kernels = self._prebuilt.kernels
        wanted: dict[str, set[str]] = {
            kernels[t.symbol]: set() for t in launches if t.symbol in kernels
        }
        for symbol, group in kernels.items():
            if group in wanted:
                wanted[group].add(symbol)
        made = [(self._prebuilt.fatbin(g), symbols) for g, symbols in wanted.items()]
        return made, [t for t in launches if t.symbol not in kernels]

    def cubin(self, text: str) -> bytes:
        """Of one module, from the folder if it is there."""
        key = hashlib.sha256(
            self._salt + source.included(text) + text.encode()
        ).hexdigest()
        path = self._folder / f"{key[:40]}.cubin"
        try:
            return path.read_bytes()
        except OSError:
            made = self._compiled(text)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(made)
            Path(file.name).replace(path)
        except OSError:
            pass  # a read-only home: compiled again next time
        return made

    def _compiled(self, text: str) -> bytes:
        nvrtc = self._nvrtc
        program = nvrtc.createProgram(text, "fastnn.cu", (), ())
        try:
            nvrtc.compileProgram(program, self._options)
            made: bytes = nvrtc.getCUBIN(program)
        except RuntimeError as error:
            log = nvrtc.getProgramLog(program)
            lines = [line for line in log.splitlines() if "error" in line][:5]
            raise BackendError(
                f"[cuda] NVRTC {nvrtc.getVersion()} does not compile a kernel: "
                + (" ".join(lines) or str(error))
            ) from error
        finally:
            nvrtc.destroyProgram(program)
        return made
