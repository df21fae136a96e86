# SPDX-License-Identifier: Apache-2.0
"""The frameworks of `benchmarks.gpu`, whole epochs and steps on a GPU.

The data of torch and JAX lies on the device before the clock starts; fastnn's `fit`
uploads it, once a call. torch: model, loss and their gradients compiled with CUDA
graphs (mode "reduce-overhead"); the gather of rows and the optimizer are launched for
each step, outside of them. JAX: an epoch in one scan. TF32 is off everywhere.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

import fastnn
from benchmarks.layers import Conv
from benchmarks.peers.base import Peer
from benchmarks.peers.fastnn_ import FastnnPeer
from fastnn import layers

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], Any]


class OnGpu(FastnnPeer):
    """`fit` within the device's context."""

    def build(self) -> None:
        with fastnn.device("gpu:0"):
            super().build()

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        with fastnn.device("gpu:0"):
            return super().run_epochs(epochs, shuffle)


class TorchGraphs(Peer):
    """Model, loss and gradients in CUDA graphs; gather and optimizer are not."""

    def build(self) -> None:
        import torch

        from benchmarks.peers import _torch_layers
        from benchmarks.peers.torch_ import _optimizer
        from benchmarks.workloads import MSE

        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        images = self.workload.has(Conv)
        model, slots = _torch_layers.build(self.workload, images)
        with torch.no_grad():
            for (tensor, form), w in zip(slots, self.weights, strict=True):
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(form(w))))
        self.model = model.cuda()
        self.optimizer = _optimizer(self.model.parameters(), self.workload.optimizer)
        x = torch.from_numpy(self.x).cuda()
        self.tx = x.permute(0, 3, 1, 2) if images else x
        regression = self.workload.loss == MSE
        kind = torch.float32 if regression else torch.int64
        self.ty = torch.from_numpy(self.y).to(kind).cuda()
        functional = torch.nn.functional
        criterion = functional.mse_loss if regression else functional.cross_entropy

        def loss_of(x: Any, y: Any) -> Any:
            return criterion(self.model(x), y)

        self.loss_of = torch.compile(loss_of, mode="reduce-overhead")

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        import torch

        self.model.train()
        batch, losses = self.workload.batch, []
        for _ in range(epochs):
            count = len(self.tx)
            order = torch.arange(count, device="cuda")
            if shuffle:
                order = torch.randperm(count, device="cuda")
            total = torch.zeros((), device="cuda")
            for rows in order.split(batch):
                torch.compiler.cudagraph_mark_step_begin()
                self.optimizer.zero_grad(set_to_none=False)
                loss = self.loss_of(self.tx[rows], self.ty[rows])
                loss.backward()
                self.optimizer.step()
                total += loss.detach()
            losses.append(total.item() / self.workload.steps)
        return losses


def jax_scan() -> Peer:
    """An epoch in one `lax.scan` on the GPU."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    from benchmarks.peers.jax_ import JaxPeer

    return JaxPeer(scan=True)


PEERS: dict[str, Callable[[], Peer]] = {
    "fastnn": OnGpu,
    "torch.compile + CUDA graphs": TorchGraphs,
    "JAX scan": jax_scan,
}

BLOCKS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


def resnet50(size: int, blocks: Any = BLOCKS) -> fastnn.Model:
    """He et al. 2016, the stride in the 3x3 convolution, as torchvision has it."""

    def conv(x: Any, filters: int, kernel: int, stride: int, relu: bool) -> Any:
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return layers.ReLU()(x) if relu else x

    given = fastnn.Input((size, size, 3))
    x = conv(given, blocks[0][0], 7, 2, relu=True)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for filters, count, stride in blocks:
        for i in range(count):
            step = stride if i == 0 else 1
            y = conv(x, filters, 1, 1, relu=True)
            y = conv(y, filters, 3, step, relu=True)
            y = conv(y, 4 * filters, 1, 1, relu=False)
            if i == 0:
                x = conv(x, 4 * filters, 1, step, relu=False)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return fastnn.Model(given, layers.Dense(1000, dtype="float32")(x))


def resnet_data(batch: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, size, size, 3)).astype("float32")
    return x, rng.integers(0, 1000, batch).astype("int32")


def resnet_fastnn(batch: int, size: int, tiny: bool) -> Step:
    """`train_on_batch`, the batch uploaded each time."""
    before = fastnn.config.dtype_policy()
    fastnn.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = resnet50(size, ((4, 1, 1),) if tiny else BLOCKS)
    finally:
        fastnn.config.set_dtype_policy(before)
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(fastnn.optimizers.SGD(0.1, momentum=0.9), loss)
    x, y = resnet_data(batch, size)

    def step() -> None:
        with fastnn.device("gpu:0"):
            model.train_on_batch(x, y)

    return step


def resnet_torch(batch: int, size: int, tiny: bool) -> Step:
    """torchvision's, channels last, autocast, compiled."""
    import torch
    import torchvision

    del tiny
    model = torchvision.models.resnet50().cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, fused=True)
    x, y = resnet_data(batch, size)
    tx, ty = torch.from_numpy(x), torch.from_numpy(y).long()

    @torch.compile
    def loss_of(x: Any, y: Any) -> Any:
        with torch.autocast("cuda", torch.bfloat16):
            return torch.nn.functional.cross_entropy(model(x), y)

    def step() -> None:
        images = tx.cuda().permute(0, 3, 1, 2)
        optimizer.zero_grad()
        loss_of(images, ty.cuda()).backward()
        optimizer.step()
        torch.cuda.synchronize()

    return step
