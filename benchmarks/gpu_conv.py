# SPDX-License-Identifier: Apache-2.0
"""Each way to compute a convolution, for layers of ResNet-50: which should be chosen.

`fastnn/backends/cuda/rules/conv_ways.py` decides by what is possible; the times here
say where another way would have been faster.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu_speed import in_turns
from fastnn import config
from fastnn.backends.cuda.rules import conv_ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.gpu import Run

OPS = ("conv", "conv_grad_input", "conv_grad_kernel")
TYPES = {"bfloat16": "bfloat16", "TF32": "float32", "float32": "float32"}
SECONDS = 2.0  # of one layer, direction and type
# x, kernel, outputs, strides, dilations, pads, groups
SMALL = (((2, 6, 6, 8), (3, 3), 8, (1, 1), (1, 1), (1, 1, 1, 1), 1),)
LAYERS = (
    ((32, 56, 56, 64), (3, 3), 64, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((32, 56, 56, 64), (1, 1), 256, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((32, 28, 28, 128), (3, 3), 128, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((32, 14, 14, 256), (3, 3), 256, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((32, 14, 14, 512), (3, 3), 512, (2, 2), (1, 1), (0, 1, 0, 1), 1),
)


def convolutions(run: Run) -> dict[str, Any]:
    """Seconds of every way that can compute a layer, by layer, direction and type."""
    root = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(root / "tests"), str(root / "tools")]
    found: dict[str, Any] = {}
    before = config.float32_matmul_precision()
    names, cases, kinds = OPS, LAYERS, list(TYPES)
    if run.small:
        names, cases, kinds = OPS[:1], SMALL, kinds[:1]
    for case, kind, name in product(cases, kinds, names):
        config.set_float32_matmul_precision("high" if kind == "TF32" else "highest")
        try:
            makers = _makers(run, name, TYPES[kind], case)
            key = f"{name} {case[0]} {case[1]} {case[2]} {kind}"
            found[key] = in_turns(run, makers, SECONDS)
        finally:
            config.set_float32_matmul_precision(before)
    return found


def _makers(
    run: Run, name: str, dtype: str, case: tuple
) -> dict[str, Callable[[], Callable[[], float]]]:
    """By way, what prepares its tasks; of ways that give the same tasks the first."""
    import cuda_parity
    import op_cases

    op = op_cases.OPS[name]
    sample = next(iter(op.samples(np.random.default_rng(0), "float32", (case,))))
    if dtype != "float32":
        sample = op_cases.narrowed(sample, dtype)

    def maker(made: Any) -> Callable[[], Callable[[], float]]:
        def prepare() -> Callable[[], float]:
            program = run.device.program(made.tasks)
            return lambda: run.seconds(lambda: program(1), repeats=3)

        return prepare

    makers, seen = {}, set()
    for way in conv_ways.WAYS:
        with conv_ways.prefer(way):
            made = cuda_parity.make(name, dtype, sample, run.device)
        bodies = tuple(getattr(task, "body", "product") for task in made.tasks)
        if bodies not in seen:
            seen.add(bodies)
            makers[way] = maker(made)
    return makers
