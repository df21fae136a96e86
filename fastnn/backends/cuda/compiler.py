# SPDX-License-Identifier: Apache-2.0
"""NVRTC, and what it made kept on disk.

Not through `cupy.RawModule`: that flushes float32 subnormals to zero (-ftz=true), and
its cache does not look into the files that a text includes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnn.backends.cuda import source
from fastnn.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastnn.backends.cuda.launches import Launch

# Sums and products are fused by name where the CPU fuses them (shared/hd.h).
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


@cache
def included() -> bytes:
    """The files that a module may include, for they change what is compiled."""
    folder = source.include_folder()
    files = [*folder.glob("cuda/*"), *folder.glob("shared/**/*.h")]
    return b"".join(path.read_bytes() for path in sorted(files))


class Compiler:
    """Makes cubins of launches, a module for each header, in parallel.

    Args:
        nvrtc: CuPy's binding: getVersion, createProgram, compileProgram, getCUBIN,
            getProgramLog, destroyProgram.
        architecture: "sm_90" and the like.
        folder: where cubins are kept.
    """

    def __init__(self, nvrtc: Any, architecture: str, folder: Path) -> None:
        self._nvrtc = nvrtc
        self._options = options(architecture)
        self._folder = folder
        made_by = repr((nvrtc.getVersion(), OPTIONS, architecture)).encode()
        self._salt = hashlib.sha256(made_by + included()).digest()

    def cubins(self, launches: Sequence[Launch]) -> list[tuple[bytes, set[str]]]:
        """(cubin, symbols of its kernels) that together have all of the launches.

        Raises:
            BackendError: a module does not compile, with the compiler's first errors.
        """
        groups: dict[str, dict[str, Launch]] = {}
        for launch in launches:
            groups.setdefault(launch.header, {})[launch.symbol] = launch
        texts = [source.module_text(list(g.values())) for g in groups.values()]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            made = list(pool.map(self.cubin, texts))
        return list(zip(made, map(set, groups.values()), strict=True))

    def cubin(self, text: str) -> bytes:
        """Of one module, from the folder if it is there."""
        key = hashlib.sha256(self._salt + text.encode()).hexdigest()
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
