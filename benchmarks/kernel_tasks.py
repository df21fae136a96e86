# SPDX-License-Identifier: Apache-2.0
"""The grid of single kernels: what is computed, on which shapes, and what binds it.

Images are (batch, height, width, channels), filters (height, width, in, out), as Keras
stores them; a peer that wants them otherwise converts before the clock starts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

FORWARD, INPUT, WEIGHTS, BACKWARD = "forward", "dx", "dw", "backward"
FLOPS, BYTES, ELEMENTS = "GFLOP/s", "GB/s", "Gelem/s"


class Task(NamedTuple):
    """One kernel on one shape.

    `size` is a square window and `stride` its step (convolutions and pools), `filters`
    the output channels. `work` counts in `unit`; bytes are those that must move at
    least once. `must` is the ratio to the faster torch layout that is demanded.
    """

    kind: str
    part: str
    shape: tuple[int, ...]
    filters: int = 0
    size: int = 0
    stride: int = 1
    padding: str = "same"
    must: float = 1.0

    @property
    def name(self) -> str:
        text = f"{self.kind} {'x'.join(map(str, self.shape))}"
        if self.filters:
            text += f"->{self.filters}"
        if self.size:
            text += f" {self.size}x{self.size}"
        if self.stride > 1:
            text += f"/{self.stride}"
        return f"{text} {self.part}"

    @property
    def output(self) -> tuple[int, ...]:
        if not self.size:
            return self.shape
        batch, height, width, channels = self.shape
        if self.padding == "same":
            sides = [-(-n // self.stride) for n in (height, width)]
        else:
            sides = [(n - self.size) // self.stride + 1 for n in (height, width)]
        return (batch, *sides, self.filters or channels)

    @property
    def pads(self) -> int:
        """Zeros on each side of an image; the same on all sides by choice of tasks."""
        return self.size // 2 if self.padding == "same" else 0

    @property
    def work(self) -> tuple[float, str]:
        out, elements = np.prod(self.output), np.prod(self.shape)
        if self.kind == "conv":
            return 2.0 * out * self.size**2 * self.shape[-1], FLOPS
        if self.kind in ELEMENTWISE:
            return float(elements), ELEMENTS
        if self.kind in STREAMS:
            return 4.0 * STREAMS[self.kind] * elements, BYTES
        passes = {FORWARD: (1, 1), BACKWARD: (2, 1), INPUT: (1, 1), WEIGHTS: (1, 1)}
        inputs, outputs = passes[self.part]
        return 4.0 * (inputs * elements + outputs * out), BYTES


ELEMENTWISE = ("exp", "tanh", "sigmoid", "gelu")  # bound by arithmetic, in L1
STREAMS = {"add": 3, "relu": 2, "adam": 7, "copy": 2}  # arrays read plus written

IMAGE = (32, 28, 28, 64)


def _convolutions() -> Iterator[Task]:
    for part, must in ((FORWARD, 1.0), (INPUT, 1.0), (WEIGHTS, 1.05)):
        yield Task("conv", part, (8, 28, 28, 64), 64, 3, must=must)
        yield Task("conv", part, (8, 14, 14, 128), 128, 3, must=must)
        yield Task("conv", part, (8, 29, 29, 64), 64, 3, 2, "valid", must=must)
        yield Task("conv", part, (8, 28, 28, 64), 128, 1, must=must)
    for part in (FORWARD, WEIGHTS):
        yield Task("conv", part, (64, 28, 28, 1), 32, 3, must=1.4)
        yield Task("conv", part, (8, 32, 32, 3), 64, 3, must=1.4)
        yield Task("conv", part, (32, 28, 28, 1), 64, 7, must=1.4)


def _windows() -> Iterator[Task]:
    for kind in ("max_pool", "average_pool"):
        for part in (FORWARD, BACKWARD):
            yield Task(kind, part, IMAGE, size=2, stride=2, padding="valid", must=1.3)
            yield Task(kind, part, (8, 56, 56, 64), 0, 3, 2, "valid", 1.3)
    for part in (FORWARD, INPUT, WEIGHTS):
        yield Task("depthwise", part, (8, 56, 56, 64), 0, 3, 1, must=1.3)
        yield Task("depthwise", part, (8, 29, 29, 128), 0, 3, 2, "valid", 1.3)


def _rows() -> Iterator[Task]:
    for part in (FORWARD, BACKWARD):
        for shape in (IMAGE, (8, 14, 14, 256), (128, 100)):
            yield Task("batch_norm", part, shape, must=1.3)
        yield Task("layer_norm", part, (128, 768), must=1.3)
        for shape in ((128, 10), (512, 1000), (64, 32000)):
            yield Task("softmax", part, shape, must=1.3)


def _elements() -> Iterator[Task]:
    for kind in ELEMENTWISE:
        yield Task(kind, FORWARD, (4096,))
    for kind in STREAMS:
        yield Task(kind, FORWARD, (1 << 24,))


TASKS = (*_convolutions(), *_windows(), *_rows(), *_elements())


def inputs(task: Task) -> dict[str, np.ndarray]:
    """x, w (filters), dy and what else the task reads; the same in every process."""
    rng = np.random.default_rng(zlib.crc32(task.name.encode()))

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    arrays = {"x": normal(*task.shape), "dy": normal(*task.output)}
    if task.kind == "conv":
        arrays["w"] = normal(task.size, task.size, task.shape[-1], task.filters) * 0.1
    elif task.kind == "depthwise":
        arrays["w"] = normal(task.size, task.size, task.shape[-1], 1) * 0.3
    elif task.kind in ("batch_norm", "layer_norm"):
        channels = task.shape[-1]
        arrays |= {"scale": 1 + 0.1 * normal(channels), "offset": normal(channels)}
    elif task.kind in ("add", "adam"):
        arrays["y"] = normal(*task.shape)
    return arrays


def digest(result: np.ndarray) -> list[float]:
    """Values by which two results of a task are compared: some, and three sums."""
    flat = np.asarray(result, np.float64).ravel()
    some = flat[:: max(1, flat.size // 64)]
    # Sums are put beside the values: relative to what rounding may do to them.
    return [*some, *(flat[i::3].sum() / np.sqrt(flat.size) for i in range(3))]
