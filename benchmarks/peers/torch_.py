# SPDX-License-Identifier: Apache-2.0
"""torch, a plain prepared loop: eager, in either layout of images, and with model and
loss compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import nn

from benchmarks.layers import Conv
from benchmarks.peers import _torch_layers
from benchmarks.peers.base import Peer
from benchmarks.workloads import MSE, NotEquivalent, Optimizer


class _RMSprop:
    """torch's foreach RMSprop with epsilon under the root, as Keras has it.

    The same number of multi-tensor calls as `torch.optim.RMSprop(foreach=True)`.
    """

    def __init__(self, params: list[torch.Tensor], o: Optimizer) -> None:
        self.params, self.o = params, o
        self.v = [torch.zeros_like(p) for p in params]

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        grads = [p.grad for p in self.params]
        torch._foreach_mul_(self.v, self.o.rho)
        torch._foreach_addcmul_(self.v, grads, grads, 1 - self.o.rho)
        roots = torch._foreach_add(self.v, self.o.epsilon)
        torch._foreach_sqrt_(roots)
        torch._foreach_addcdiv_(self.params, grads, roots, -self.o.learning_rate)


class _Adam(torch.optim.Adam):
    """Fused Adam; Keras's epsilon is torch's divided by sqrt(1 - beta_2^t)."""

    def __init__(self, params: list[torch.Tensor], o: Optimizer) -> None:
        betas = (o.beta_1, o.beta_2)
        super().__init__(params, o.learning_rate, betas, fused=True)
        self.t, self.o = 0, o

    def step(self, closure: Callable[[], float] | None = None) -> None:
        self.t += 1
        correction = (1 - self.o.beta_2**self.t) ** 0.5
        self.param_groups[0]["eps"] = self.o.epsilon / correction
        super().step(closure)


def _optimizer(params: Iterable[torch.Tensor], o: Optimizer):
    params = list(params)
    if o.name == "sgd":
        return torch.optim.SGD(params, o.learning_rate, fused=True)
    return {"rmsprop": _RMSprop, "adam": _Adam}[o.name](params, o)


class TorchPeer(Peer):
    """`dtype` is float64 where torch checks the oracle, in tests."""

    def __init__(
        self, compiled: bool, last: bool = False, dtype: torch.dtype = torch.float32
    ) -> None:
        self.compiled, self.last, self.dtype = compiled, last, dtype

    def build(self) -> None:
        if self.last and not self.workload.has(Conv):
            raise NotEquivalent("[torch] no image, so no layout to choose.")
        self.model, self.slots = _torch_layers.build(self.workload, self.last)
        self.model.to(self.dtype)
        self.tx = self._tensor(self.x)
        regression = self.workload.loss == MSE
        self.ty = torch.from_numpy(self.y)
        self.ty = self.ty.to(self.dtype if regression else torch.int64)
        criterion = (
            nn.functional.mse_loss if regression else nn.functional.cross_entropy
        )
        model = self.model

        def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return criterion(model(x), y)

        self.loss_of = torch.compile(loss_of) if self.compiled else loss_of
        self.reset()

    def _tensor(self, x: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(x).to(self.dtype)
        if x.ndim < 4:
            return tensor
        tensor = tensor.permute(0, 3, 1, 2)
        return tensor if self.last else tensor.contiguous()

    def reset(self) -> None:
        with torch.no_grad():
            for (tensor, form), w in zip(self.slots, self.weights, strict=True):
                tensor.copy_(torch.from_numpy(form(w)))
        self.optimizer = _optimizer(self.model.parameters(), self.workload.optimizer)

    def _train(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        if not self.model.training:
            self.model.train()
        self.optimizer.zero_grad()
        loss = self.loss_of(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def step_losses(self, steps: int) -> list[float]:
        batch = self.workload.batch
        pairs = zip(self.tx.split(batch)[:steps], self.ty.split(batch), strict=False)
        return [self._train(x, y).item() for x, y in pairs]

    def run_epochs(self, epochs: int, shuffle: bool) -> list[float]:
        batch, steps, losses = self.workload.batch, self.workload.steps, []
        for _ in range(epochs):
            total = torch.zeros(())
            if shuffle:
                for rows in torch.randperm(len(self.tx)).split(batch):
                    x, y = self.tx.index_select(0, rows), self.ty.index_select(0, rows)
                    total += self._train(x, y)
            else:
                for x, y in zip(
                    self.tx.split(batch), self.ty.split(batch), strict=True
                ):
                    total += self._train(x, y)
            losses.append(total.item() / steps)
        return losses

    @torch.inference_mode()
    def predict(self, x: np.ndarray) -> np.ndarray:
        if self.model.training:
            self.model.eval()
        out = self.model(self._tensor(x))
        if self.workload.loss != MSE:
            out = torch.softmax(out, -1)
        return out.numpy()

    def versions(self) -> dict[str, str]:
        lines = [line.strip(" -") for line in torch.__config__.show().split("\n")]
        blas = [s for s in lines if "Math Kernel Library" in s or "MKL-DNN" in s]
        return {
            "torch": torch.__version__,
            "torch blas": "; ".join(
                s.split("-Product")[0].split(" (Git")[0] for s in blas
            ),
            "torch cpu": torch.backends.cpu.get_cpu_capability(),
            "torch threads": str(torch.get_num_threads()),
        }


def make(variant: str) -> Peer:
    return TorchPeer(compiled=variant == "compile", last=variant == "last")
