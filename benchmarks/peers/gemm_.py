# SPDX-License-Identifier: Apache-2.0
"""Matrix products of each library: one bound call, operands and output prepared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = Callable[[], Any]

# Only the order of magnitude matters: from it `launch` guesses the time of a product.
_GFLOPS_PER_THREAD = 100.0

# A dot product of k terms is off by about sqrt(k) roundings of the result.
WORST_ERROR = {"fastnn_bf16": 1e-2}
WORST_FLOAT32 = 1e-5

LABELS = {
    "fastnn": "fastnn",
    "fastnn_bf16": "fastnn, bfloat16",
    "numpy": "NumPy",
    "numpy_skylakex": "NumPy (SkylakeX)",
    "torch": "torch",
    "jax": "JAX",
}


def operands(
    form: str, m: int, k: int, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Operands of C(m, n) = A(m, k) @ B(k, n), and C in float64.

    `y=xw`: both as stored. `dw=x'dy`: A is the transposed view of a stored (k, m).
    `dx=dyw'`: B is the transposed view of a stored (n, k). Small normal numbers, for
    zeros and denormals are another benchmark.
    """
    rng = np.random.default_rng(0)
    a = rng.normal(size=(k, m) if form == "dw=x'dy" else (m, k)).astype(np.float32)
    b = rng.normal(size=(n, k) if form == "dx=dyw'" else (k, n)).astype(np.float32)
    a = a.T if form == "dw=x'dy" else a
    b = b.T if form == "dx=dyw'" else b
    return a, b, a.astype(np.float64) @ b.astype(np.float64)


class NumpyGemm:
    def bind(self, a: np.ndarray, b: np.ndarray) -> Call:
        out = np.empty((a.shape[0], b.shape[1]), np.float32)
        return lambda: np.matmul(a, b, out=out)

    def versions(self) -> dict[str, str]:
        from benchmarks.machine import openblas_kernels

        return {"numpy": np.__version__, "openblas": openblas_kernels()}


class TorchGemm:
    def bind(self, a: np.ndarray, b: np.ndarray) -> Call:
        import torch

        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        out = torch.empty((a.shape[0], b.shape[1]))
        return lambda: torch.mm(ta, tb, out=out)

    def versions(self) -> dict[str, str]:
        from benchmarks.peers.torch_ import TorchPeer

        return TorchPeer(compiled=False).versions()


class JaxGemm:
    def bind(self, a: np.ndarray, b: np.ndarray) -> Call:
        """Stored arrays go in and are transposed inside the jitted function, where XLA
        folds the transpose into the product."""
        import jax

        ta, tb = a.strides[0] < a.strides[1], b.strides[0] < b.strides[1]
        ja, jb = jax.device_put(a.T if ta else a), jax.device_put(b.T if tb else b)
        product = jax.jit(lambda x, y: (x.T if ta else x) @ (y.T if tb else y))
        return lambda: product(ja, jb).block_until_ready()

    def versions(self) -> dict[str, str]:
        import jax

        return {"jax": jax.__version__}


class FastnnGemm:
    dtype = "float32"

    def bind(self, a: np.ndarray, b: np.ndarray) -> Call:
        import ml_dtypes  # noqa: F401  (NumPy then knows bfloat16)

        from fastnn import _core

        dtype = np.dtype(self.dtype)
        a, b = a.astype(dtype), b.astype(dtype)
        out = np.empty((a.shape[0], b.shape[1]), dtype)
        # `cost` (nanoseconds on one thread) decides how many threads take part.
        cost = 2.0 * out.size * a.shape[1] / _GFLOPS_PER_THREAD

        def call() -> np.ndarray:
            _core.launch("matmul", (a, b), (out,), (), cost)
            return out

        return call

    def versions(self) -> dict[str, str]:
        import fastnn

        return {"fastnn": fastnn.__version__}


class FastnnBfloat16(FastnnGemm):
    """The same products of operands rounded to bfloat16."""

    dtype = "bfloat16"

    def versions(self) -> dict[str, str]:
        from fastnn import _core

        native = _core.isa() == "avx512" and _core.cpu_supports("avx512bf16")
        how = "AVX512_BF16" if native else "no AVX512_BF16 here: widened pairs"
        return super().versions() | {"bfloat16": how}


LIBRARIES = {
    "fastnn": FastnnGemm,
    "fastnn_bf16": FastnnBfloat16,
    "numpy": NumpyGemm,
    "numpy_skylakex": NumpyGemm,
    "torch": TorchGemm,
    "jax": JaxGemm,
}
