# SPDX-License-Identifier: Apache-2.0
"""The registry as test cases: every op, every sample, no list to keep."""

from __future__ import annotations

import numpy as np

from fastnn.opset import all_ops
from fastnn.opset._opdef import HOST, KERNELLESS
from fastnn.selftest.cases import DTYPES as DTYPES
from fastnn.selftest.cases import assert_close as assert_close
from fastnn.selftest.cases import narrowed as narrowed
from fastnn.selftest.cases import reference as reference
from fastnn.selftest.cases import run as run
from fastnn.selftest.cases import samples as samples
from fastnn.selftest.cases import widens as widens

OPS = all_ops()
KERNEL_OPS = [name for name, op in OPS.items() if op.kind not in KERNELLESS]
PLANNED = [name for name, op in OPS.items() if op.kind != HOST]
DIFFERENTIABLE = [name for name, op in OPS.items() if op.vjp is not None]


# ---- layouts -------------------------------------------------------------------------


def _strided(a: np.ndarray) -> np.ndarray:
    """The same values as every other element of a larger array."""
    if a.ndim == 0:
        return a
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1] + 1), a.dtype)
    view = wide[..., 1::2][..., : a.shape[-1]]
    view[...] = a
    return view


def _transposed(a: np.ndarray) -> np.ndarray:
    return np.asfortranarray(a).reshape(a.shape)


def _reversed(a: np.ndarray) -> np.ndarray:
    return a if a.ndim == 0 else np.ascontiguousarray(a[::-1])[::-1]


LAYOUTS = (_strided, _transposed, _reversed)
