# SPDX-License-Identifier: Apache-2.0
"""The registry as test cases: every op, every sample, no list to keep."""

from __future__ import annotations

from fastnn.opset import all_ops
from fastnn.opset._opdef import HOST, KERNELLESS
from fastnn.selftest.cases import DTYPES as DTYPES
from fastnn.selftest.cases import assert_close as assert_close
from fastnn.selftest.cases import reference as reference
from fastnn.selftest.cases import run as run
from fastnn.selftest.cases import samples as samples
from fastnn.selftest.cases import widens as widens

OPS = all_ops()
KERNEL_OPS = [name for name, op in OPS.items() if op.kind not in KERNELLESS]
PLANNED = [name for name, op in OPS.items() if op.kind != HOST]
DIFFERENTIABLE = [name for name, op in OPS.items() if op.vjp is not None]
