# SPDX-License-Identifier: Apache-2.0
"""The frameworks of `benchmarks.gpu`, whole epochs on a GPU.

The data of torch and JAX lie on the device before the clock starts; fastnn's `fit`
uploads them once a call, which is measured apart. torch: the whole step (gather of
rows, model and loss by torch.compile, gradients, fused optimizer with its state on the
device) in CUDA graphs of several steps, images channels last. JAX: an epoch in one
scan. TF32 is off everywhere. `device="cpu"` runs the same code without graphs, for
tests.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn
from benchmarks.layers import Conv
from benchmarks.peers.base import Peer
from benchmarks.peers.fastnn_ import FastnnPeer

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS_TOGETHER = 16  # in one CUDA graph, as many as fastnn's
WARM_UPS = 3  # as torch's documentation of CUDA graphs has it


class OnGpu(FastnnPeer):
    """`fit` within the device's context."""

    def build(self) -> None:
        with fastnn.device("gpu:0"):
            super().build()

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        with fastnn.device("gpu:0"):
            return super().run_epochs(epochs, shuffle)


# -- torch -----------------------------------------------------------------------------


def exact_float32() -> None:
    """No TF32 in torch's products and convolutions."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def compiled(function: Callable[..., Any], device: str, mode: str) -> Any:
    """The function by torch.compile, without CUDA graphs of its own; on the CPU only
    traced, which shows that it can be.
    """
    import torch

    if device == "cpu":
        return torch.compile(function, backend="aot_eager")
    if mode == "max-autotune":
        mode = "max-autotune-no-cudagraphs"
    return torch.compile(function, mode=mode)


def capture(step: Callable[[], Any], device: str) -> Callable[[], Any]:
    """A step as a CUDA graph, once it has run a few times on a stream of its own."""
    if device == "cpu":
        return step
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay() -> Any:
        graph.replay()
        return result

    return replay


def torch_optimizer(params: Any, o: Any, device: str) -> Any:
    """With all of its state on the device; Adam's epsilon is torch's, which stands
    beside a root that is larger by 1 / sqrt(1 - beta_2^t).
    """
    import torch

    from benchmarks.peers.torch_ import _RMSprop

    params = list(params)
    fused = device == "cuda"
    if o.name == "sgd":
        return torch.optim.SGD(params, o.learning_rate, fused=fused)
    if o.name == "adam":
        betas = o.beta_1, o.beta_2
        options = {"fused": True, "capturable": True} if fused else {}
        return torch.optim.Adam(params, o.learning_rate, betas, o.epsilon, **options)
    return _RMSprop(params, o)


class TorchGraphs(Peer):
    """Whole steps in CUDA graphs."""

    def __init__(self, mode: str = "default", device: str = "cuda") -> None:
        self.mode, self.device = mode, device

    def build(self) -> None:
        import torch

        from benchmarks.peers import _torch_layers
        from benchmarks.workloads import MSE

        exact_float32()
        images = self.workload.has(Conv)
        model, slots = _torch_layers.build(self.workload, images)
        with torch.no_grad():
            for (tensor, form), w in zip(slots, self.weights, strict=True):
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(form(w))))
        model = self.model = model.to(self.device)
        optimizer = torch_optimizer(
            model.parameters(), self.workload.optimizer, self.device
        )
        tx = torch.from_numpy(self.x).to(self.device)
        regression = self.workload.loss == MSE
        kind = torch.float32 if regression else torch.int64
        ty = torch.from_numpy(self.y).to(self.device, kind)
        functional = torch.nn.functional
        criterion = functional.mse_loss if regression else functional.cross_entropy

        def loss_of(x: Any, y: Any) -> Any:
            x = x.permute(0, 3, 1, 2) if images else x  # channels last in memory
            return criterion(model(x), y)

        run = compiled(loss_of, self.device, self.mode)
        batch, most = self.workload.batch, min(STEPS_TOGETHER, self.workload.steps)
        self.together = next(
            n for n in range(most, 0, -1) if self.workload.steps % n == 0
        )
        self.rows = torch.zeros(
            self.together * batch, dtype=torch.int64, device=self.device
        )
        self.total = torch.zeros((), device=self.device)

        def steps() -> None:
            for rows in self.rows.split(batch):
                optimizer.zero_grad()
                loss = run(tx.index_select(0, rows), ty.index_select(0, rows))
                loss.backward()
                optimizer.step()
                self.total += loss.detach()

        model.train()
        self.replay = capture(steps, self.device)
        self._restart(slots, optimizer)

    def _restart(self, slots: Any, optimizer: Any) -> None:
        """The weights and an untouched optimizer after the warm-up, in place: graphs
        know them by address.
        """
        import torch

        with torch.no_grad():
            for (tensor, form), w in zip(slots, self.weights, strict=True):
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(form(w))))
            for state in getattr(optimizer, "state", {}).values():
                for value in state.values():
                    if torch.is_tensor(value):
                        value.zero_()
            for value in getattr(optimizer, "v", ()):
                value.zero_()
            self.total.zero_()

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        import torch

        count, losses = len(self.x), []
        for _ in range(epochs):
            make = torch.randperm if shuffle else torch.arange
            order = make(count, device=self.device)
            self.total.zero_()
            for rows in order.split(len(self.rows)):
                self.rows.copy_(rows)
                self.replay()
            losses.append(self.total / self.workload.steps)
        return [float(loss) for loss in losses]


# -- JAX -------------------------------------------------------------------------------


def jax_scan() -> Peer:
    """An epoch in one `lax.scan`."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    from benchmarks.peers.jax_ import JaxPeer

    return JaxPeer(scan=True)


def peers(run: Any) -> dict[str, Callable[[], Peer]]:
    """By name; what takes longest to prepare is last."""
    place = run.torch_device
    others: dict[str, Callable[[], Peer]] = {
        "torch graphs": lambda: TorchGraphs(device=place),
        "JAX scan": jax_scan,
        "torch max-autotune graphs": lambda: TorchGraphs("max-autotune", place),
    }
    return {"fastnn": OnGpu, **(others if run.peers else {})}
