# SPDX-License-Identifier: Apache-2.0
"""Single kernels of each library: `bind(task)` gives the call and its result.

Both libraries are called through their public eager functions, backward passes through
the op that their autograd calls. Weights and images lie as the library likes them
before the clock starts: torch runs every image task in both of its layouts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.kernel_tasks import (
    BACKWARD,
    ELEMENTWISE,
    FORWARD,
    INPUT,
    STREAMS,
    WEIGHTS,
    Task,
    inputs,
)
from benchmarks.workloads import NotEquivalent

Call = Callable[[], Any]
Bound = tuple[Call, Callable[[Any], np.ndarray]]

LABELS = {
    "fastnn": "fastnn",
    "torch": "torch",
    "torch_channels_last": "torch channels_last",
}
ORACLE = "torch_double"
EPSILON = 1e-3
NS_PER_ELEMENT = 0.5  # from which `launch` guesses how many threads are worth it


class TorchKernels:
    """`channels_last`: images and filters in that memory format; `double`: the oracle
    of all others."""

    def __init__(self, *, channels_last: bool = False, double: bool = False) -> None:
        import torch

        self.torch, self.channels_last = torch, channels_last
        self.dtype = torch.float64 if double else torch.float32
        torch.set_grad_enabled(False)

    def versions(self) -> dict[str, str]:
        from benchmarks.peers.torch_ import TorchPeer

        return TorchPeer(compiled=False).versions()

    def tensor(self, name: str, array: np.ndarray) -> Any:
        """As torch lays it out; filters (h, w, i, o) become (o, i, h, w)."""
        t = self.torch.from_numpy(array).to(self.dtype)
        if array.ndim != 4:
            return t
        if name == "w":
            t = t.permute(3, 2, 0, 1) if array.shape[3] > 1 else t.permute(2, 3, 0, 1)
        else:
            t = t.permute(0, 3, 1, 2)
        layout = "channels_last" if self.channels_last else "contiguous_format"
        return t.contiguous(memory_format=getattr(self.torch, layout))

    def bind(self, task: Task) -> Bound:
        if self.channels_last and len(task.shape) != 4:
            raise NotEquivalent("not an image")
        given = {k: self.tensor(k, v) for k, v in inputs(task).items()}
        call = getattr(self, f"_{task.kind}", self._elementwise)(task, **given)

        def as_array(result: Any) -> np.ndarray:
            if task.kind == "depthwise" and task.part == "dw":
                return result.permute(2, 3, 0, 1).numpy()
            if task.part == "dw":
                return result.permute(2, 3, 1, 0).numpy()
            return (result.permute(0, 2, 3, 1) if result.ndim == 4 else result).numpy()

        return call, as_array

    def _conv(self, task: Task, x: Any, dy: Any, w: Any, groups: int = 1) -> Call:
        aten, stride = self.torch.ops.aten, [task.stride] * 2
        pads = [task.pads] * 2
        if task.part == FORWARD:
            conv2d = self.torch.nn.functional.conv2d
            return lambda: conv2d(x, w, None, stride, pads, 1, groups)
        which = 0 if task.part == INPUT else 1
        rest = (None, stride, pads, [1, 1], False, [0, 0], groups)
        mask = [which == 0, which == 1, False]
        return lambda: aten.convolution_backward(dy, x, w, *rest, mask)[which]

    def _depthwise(self, task: Task, x: Any, dy: Any, w: Any) -> Call:
        return self._conv(task, x, dy, w, groups=task.shape[-1])

    def _max_pool(self, task: Task, x: Any, dy: Any) -> Call:
        aten, window = self.torch.ops.aten, ([task.size] * 2, [task.stride] * 2)
        if task.part == FORWARD:
            return lambda: aten.max_pool2d_with_indices(x, *window)[0]
        at = aten.max_pool2d_with_indices(x, *window)[1]
        more = ([0, 0], [1, 1], False)
        return lambda: aten.max_pool2d_with_indices_backward(dy, x, *window, *more, at)

    def _average_pool(self, task: Task, x: Any, dy: Any) -> Call:
        aten, window = self.torch.ops.aten, ([task.size] * 2, [task.stride] * 2)
        if task.part == FORWARD:
            return lambda: aten.avg_pool2d(x, *window)
        more = ([0, 0], False, True, None)
        return lambda: aten.avg_pool2d_backward(dy, x, *window, *more)

    def _batch_norm(self, task: Task, x: Any, dy: Any, scale: Any, offset: Any) -> Call:
        aten = self.torch.ops.aten
        run = (x, scale, offset, None, None, True, 0.1, EPSILON)
        if task.part == FORWARD:
            return lambda: aten.native_batch_norm(*run)[0]
        _, mean, inverse = aten.native_batch_norm(*run)
        saved = (scale, None, None, mean, inverse, True, EPSILON, [True] * 3)
        return lambda: aten.native_batch_norm_backward(dy, x, *saved)[0]

    def _layer_norm(self, task: Task, x: Any, dy: Any, scale: Any, offset: Any) -> Call:
        aten, axes = self.torch.ops.aten, [task.shape[-1]]
        if task.part == FORWARD:
            return lambda: aten.native_layer_norm(x, axes, scale, offset, EPSILON)[0]
        _, mean, inverse = aten.native_layer_norm(x, axes, scale, offset, EPSILON)
        saved = (axes, mean, inverse, scale, offset, [True] * 3)
        return lambda: aten.native_layer_norm_backward(dy, x, *saved)[0]

    def _softmax(self, task: Task, x: Any, dy: Any) -> Call:
        aten = self.torch.ops.aten
        if task.part == FORWARD:
            return lambda: aten._softmax(x, -1, False)
        y = aten._softmax(x, -1, False)
        return lambda: aten._softmax_backward_data(dy, y, -1, self.dtype)

    def _adam(self, task: Task, x: Any, dy: Any, y: Any) -> Call:
        state = [self.torch.zeros_like(x) for _ in range(2)]
        step = self.torch.zeros((), dtype=self.torch.float32)
        rates = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}
        rates |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}

        def call() -> Any:
            step.add_(1)
            moments = ([state[0]], [state[1]], [], [step])
            self.torch._fused_adam_([x], [y], *moments, **rates)
            return x

        return call

    def _elementwise(self, task: Task, x: Any, dy: Any, y: Any = None) -> Call:
        torch, out = self.torch, self.torch.empty_like(x)
        if task.kind == "add":
            return lambda: torch.add(x, y, out=out)
        if task.kind == "relu":
            return lambda: torch.clamp_min(x, 0, out=out)
        if task.kind == "copy":
            return lambda: out.copy_(x)
        if task.kind == "gelu":
            return lambda: torch.nn.functional.gelu(x)
        function = getattr(torch, task.kind)
        return lambda: function(x, out=out)


class FastnnKernels:
    """Images through public functions, their backward passes through a tape recorded
    before the clock starts; rows, where a tape takes longer than the kernel, through
    the ops that layers and gradients are made of, as torch's. Streams and elementwise
    kernels write into arrays that exist, as torch's do with `out=`."""

    def versions(self) -> dict[str, str]:
        import fastnn

        return {"fastnn": fastnn.__version__}

    def bind(self, task: Task) -> Bound:
        arrays = inputs(task)
        if task.kind in (*ELEMENTWISE, *STREAMS):
            return self._launch(task, arrays), np.asarray
        from fastnn import GradientTape, ops

        if task.kind in ("batch_norm", "layer_norm", "softmax"):
            return self._rows(task, arrays)
        dy = ops.convert_to_tensor(arrays.pop("dy"))
        given = [ops.convert_to_tensor(a) for a in arrays.values()]
        forward = getattr(self, f"_{task.kind}")(task, ops)
        if task.part == FORWARD:
            return lambda: forward(*given), np.asarray
        sources = {INPUT: given[:1], WEIGHTS: given[1:], BACKWARD: given}[task.part]
        with GradientTape(persistent=True) as tape:
            tape.watch(sources)
            y = forward(*given)
        return lambda: tape.gradient(y, sources, dy), lambda g: np.asarray(g[0])

    def _conv(self, task: Task, ops: Any) -> Call:
        return lambda x, w: ops.conv(x, w, task.stride, task.padding)

    def _depthwise(self, task: Task, ops: Any) -> Call:
        return lambda x, w: ops.depthwise_conv(x, w, task.stride, task.padding)

    def _max_pool(self, task: Task, ops: Any) -> Call:
        return lambda x: ops.max_pool(x, task.size, task.stride, task.padding)

    def _average_pool(self, task: Task, ops: Any) -> Call:
        return lambda x: ops.average_pool(x, task.size, task.stride, task.padding)

    def _rows(self, task: Task, arrays: dict[str, np.ndarray]) -> Bound:
        from fastnn import ops
        from fastnn.autodiff import raw

        dy = ops.convert_to_tensor(arrays.pop("dy"))
        given = [ops.convert_to_tensor(a) for a in arrays.values()]
        if task.kind == "softmax":
            x = given[0]
            y = raw.softmax(x, -1)
            if task.part == FORWARD:
                return lambda: raw.softmax(x, -1), np.asarray
            return lambda: raw.softmax_grad(dy, y, -1), np.asarray
        axis = len(task.shape) - 1
        more = () if task.kind == "batch_norm" else (True,)
        forward, backward = getattr(raw, task.kind), getattr(raw, f"{task.kind}_grad")
        if task.part == FORWARD:
            call = lambda: forward(*given, axis, EPSILON, *more)  # noqa: E731
        else:
            x, scale, _ = given
            saved = forward(*given, axis, EPSILON, *more)[1:]
            last = more or (EPSILON,)
            call = lambda: backward(dy, x, scale, *saved, axis, *last)  # noqa: E731
        return call, lambda found: np.asarray(found[0])

    def _launch(self, task: Task, arrays: dict[str, np.ndarray]) -> Call:
        from fastnn import _core

        x, ns = arrays["x"], NS_PER_ELEMENT * arrays["x"].size
        if task.kind == "adam":
            w, g = x, arrays["y"]
            state = [np.zeros_like(x) for _ in range(2)]
            rate, step = np.float32(1e-3), np.zeros((), np.int64)
            outs, attrs = (w, *state), (0.9, 0.999, 1e-7, 0.0)

            def update() -> np.ndarray:
                step[...] += 1
                ins = (w, g, *state, np.asarray(rate), step)
                _core.launch("adam", ins, outs, attrs, ns)
                return w

            return update
        ins = (x, arrays["y"]) if task.kind == "add" else (x,)
        out = np.empty_like(x)
        attrs = (False,) if task.kind == "gelu" else ()

        def call() -> np.ndarray:
            _core.launch(task.kind, ins, (out,), attrs, ns)
            return out

        return call


LIBRARIES: dict[str, Callable[[], Any]] = {
    "fastnn": FastnnKernels,
    "torch": TorchKernels,
    "torch_channels_last": lambda: TorchKernels(channels_last=True),
    ORACLE: lambda: TorchKernels(double=True),
}
