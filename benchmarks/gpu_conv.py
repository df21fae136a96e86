# SPDX-License-Identifier: Apache-2.0
"""Each way to compute a convolution, for layers of ResNet-50: which should be chosen.

The fastest is kept for `fastnn/backends/cuda/rules/conv_ways.py` of later processes of
this machine; cuDNN is one of them where it is installed. Beside them torch, whose cuDNN
has images channels last and the algorithm that it finds fastest by trying.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.gpu_speed import in_turns
from fastnn import config
from fastnn.backends.cuda.launches import Launch
from fastnn.backends.cuda.rules import conv_ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.gpu import Run

OPS = ("conv", "conv_grad_input", "conv_grad_kernel")
TYPES = {"bfloat16": "bfloat16", "TF32": "float32", "float32": "float32"}
SECONDS = 2.0  # of one layer, direction and type
MOST_SECONDS = 90  # of all
# x, kernel, outputs, strides, dilations, pads, groups
SMALL = (((2, 6, 6, 8), (3, 3), 8, (1, 1), (1, 1), (1, 1, 1, 1), 1),)
LAYERS = (
    ((32, 56, 56, 64), (3, 3), 64, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((32, 56, 56, 64), (1, 1), 256, (1, 1), (1, 1), (0, 0, 0, 0), 1),
    ((32, 28, 28, 128), (3, 3), 128, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((32, 14, 14, 256), (3, 3), 256, (1, 1), (1, 1), (1, 1, 1, 1), 1),
    ((32, 14, 14, 512), (3, 3), 512, (2, 2), (1, 1), (0, 0, 1, 1), 1),
)


def convolutions(run: Run) -> dict[str, Any]:
    """Seconds of every way that can compute a layer, by layer, direction and type; what
    the time does not suffice for is left out.
    """
    root = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(root / "tests"), str(root / "tools")]
    found: dict[str, Any] = {}
    end = time.monotonic() + min(MOST_SECONDS * run.patience, run.left - 30)
    before = config.float32_matmul_precision()
    names, cases, kinds = OPS, LAYERS, list(TYPES)
    if run.small:
        names, cases, kinds = OPS[:1], SMALL, kinds[:1]
    for kind, case, name in product(kinds, cases, names):
        key = f"{name} {case[0]} {case[1]} {case[2]} {kind}"
        if time.monotonic() > end:
            found[key] = "no time left"
            continue
        config.set_float32_matmul_precision("high" if kind == "TF32" else "highest")
        try:
            makers, shape = _makers(run, name, TYPES[kind], case)
            ways = list(makers)
            if run.peers:
                makers["torch"] = _torch(run, name, kind, case)
            result = found[key] = in_turns(run, makers, SECONDS)
        finally:
            config.set_float32_matmul_precision(before)
        times = {way: t for way, t in result["median"].items() if way in ways}
        if times and not run.small:
            conv_ways.table[shape] = min(times, key=lambda way: times[way])
            conv_ways.write_table(run.device.architecture)
    return found


def _makers(
    run: Run, name: str, dtype: str, case: tuple
) -> tuple[dict[str, Callable[[], Callable[[], float]]], conv_ways.Shape]:
    """By way, what prepares its tasks; of ways that give the same tasks the first. And
    what the choice depends on.
    """
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
        with conv_ways.prefer(way) as asked:
            made = cuda_parity.make(name, dtype, sample, run.device)
        run.device.prepare([t for t in made.tasks if isinstance(t, Launch)])
        bodies = tuple(getattr(t, "body", type(t).__name__) for t in made.tasks)
        if bodies not in seen:
            seen.add(bodies)
            makers[way] = maker(made)
    return makers, asked[0]


def _torch(
    run: Run, name: str, kind: str, case: tuple
) -> Callable[[], Callable[[], float]]:
    """The same layer and direction by torch."""

    def prepare() -> Callable[[], float]:
        import torch

        from benchmarks.gpu_peers import exact_float32

        exact_float32()
        on_gpu = run.torch_device == "cuda"
        (images, *size, inputs), window, outputs, strides, dilations, pads, groups = (
            case
        )
        last, dtype = torch.channels_last, getattr(torch, TYPES[kind])

        def made(*shape: int) -> Any:
            x = torch.randn(shape, device=run.torch_device).to(dtype)
            return x.to(memory_format=last)

        x, w = made(images, inputs, *size), made(outputs, inputs // groups, *window)
        half = len(pads) // 2  # torch pads both sides alike: as many outputs here
        both = [max(pads[d], pads[d + half]) for d in range(half)]
        how = strides, both, dilations
        dy = made(*torch.nn.functional.conv2d(x, w, None, *how, groups).shape)
        wanted = [name == "conv_grad_input", name == "conv_grad_kernel", False]
        back = torch.ops.aten.convolution_backward

        def call() -> Any:
            if name == "conv":
                return torch.nn.functional.conv2d(x, w, None, *how, groups)
            return back(dy, x, w, None, *how, False, [0, 0], groups, wanted)

        def turn() -> float:
            backends = torch.backends.cudnn
            before = backends.benchmark, backends.allow_tf32
            backends.benchmark, backends.allow_tf32 = True, kind == "TF32"
            try:
                wait = torch.cuda.synchronize if on_gpu else None
                return run.seconds(call, 3, wait)
            finally:
                backends.benchmark, backends.allow_tf32 = before

        turn()
        return turn

    return prepare
