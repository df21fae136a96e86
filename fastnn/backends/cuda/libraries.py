# SPDX-License-Identifier: Apache-2.0
"""Libraries of CUDA by ctypes: what CuPy has loaded and does not bind."""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

from fastnn.errors import BackendError

# What NVIDIA recommends for Hopper. Products of one stream share it.
WORKSPACE = 32 << 20


def load(cupy: Any, name: str) -> Any:
    """`libcublas` or another library that cuBLAS brings, of CuPy's version of CUDA.

    Raises:
        BackendError: there is none.
    """
    try:
        _ = cupy.cuda.cublas  # finds the library in the package that has it
        major = cupy.cuda.runtime.runtimeGetVersion() // 1000
        return ctypes.CDLL(f"{name}.so.{major}")  # by the name of what is loaded
    except (ImportError, OSError) as error:
        raise BackendError(
            f"[cuda] {name} cannot be loaded ({str(error).strip()}): pip install "
            f"'fastnn[cuda13]' brings it"
        ) from error


class Library:
    """Functions that return a status.

    Args:
        lib: the loaded library.

    Attributes:
        prefix: of the names of its functions.
    """

    prefix: ClassVar[str]

    def __init__(self, lib: Any) -> None:
        self._lib = lib

    def _check(self, name: str, *arguments: Any) -> None:
        """Calls a function.

        Raises:
            BackendError: it fails, with the library's name and text of the status.
        """
        status = getattr(self._lib, f"{self.prefix}{name}")(*arguments)
        if status:
            raise BackendError(
                f"[cuda] {self.prefix}{name} failed: {self._said('Name', status)} "
                f"({self._said('String', status)}){self._remedy(status)}"
            )

    def _said(self, kind: str, status: int) -> str:
        function = getattr(self._lib, f"{self.prefix}GetStatus{kind}")
        function.restype = ctypes.c_char_p
        said: bytes = function(status)
        return said.decode()

    def _remedy(self, status: int) -> str:
        remedies = {  # cublasStatus_t
            1: "install NVIDIA's driver for CUDA 13 (580 or newer)",
            3: "take smaller batches or fastnn.utils.clear_session()",
            8: "this GPU is older than what CUDA 13 supports",
        }
        return f": {remedies[status]}" if status in remedies else ""
