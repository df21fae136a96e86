# SPDX-License-Identifier: Apache-2.0
"""Record torch's first ten losses for tests/models/test_steps.py and test_convnet.py.

Run with a Python that has torch (make bench makes one), from the repository's root:

    PYTHONPATH=tests/models:tests/graph:tests \\
        .venv-bench/bin/python tools/record_torch_losses.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import test_convnet
import torch
from test_steps import data, initial_weights


class KerasRMSprop:
    """Keras 3's update on torch's gradients: torch has epsilon outside the root."""

    def __init__(self, weights: Any) -> None:
        self.weights = weights
        self.v = [torch.zeros_like(w) for w in weights]

    def zero_grad(self) -> None:
        for w in self.weights:
            w.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for w, v in zip(self.weights, self.v, strict=True):
            v.mul_(0.9).add_(0.1 * w.grad**2)
            w.sub_(0.01 * w.grad / torch.sqrt(v + 1e-7))


class KerasAdam(KerasRMSprop):
    """Keras 3's update: epsilon beside the root of the uncorrected second moment."""

    def __init__(self, weights: Any) -> None:
        super().__init__(weights)
        self.m = [torch.zeros_like(w) for w in weights]
        self.t = 0

    @torch.no_grad()
    def step(self) -> None:
        self.t += 1
        alpha = 0.01 * (1 - 0.999**self.t) ** 0.5 / (1 - 0.9**self.t)
        for w, m, v in zip(self.weights, self.m, self.v, strict=True):
            m.add_((w.grad - m) * 0.1)
            v.add_((w.grad**2 - v) * 0.001)
            w.sub_(alpha * m / (torch.sqrt(v) + 1e-7))


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "rmsprop": KerasRMSprop,
    "adam": KerasAdam,
}


def losses(name: str) -> list[float]:
    """Mean cross-entropy before each of ten steps on consecutive batches of 32."""
    x, y = (torch.from_numpy(a) for a in data())
    weights = [torch.from_numpy(w).requires_grad_() for w in initial_weights()]
    optimizer = OPTIMIZERS[name](weights)
    out = []
    for i in range(10):
        h = x[32 * i : 32 * i + 32]
        for j in range(0, len(weights), 2):
            h = h @ weights[j] + weights[j + 1]
            if j < len(weights) - 2:
                h = torch.relu(h)
        loss = torch.nn.functional.cross_entropy(h, y[32 * i : 32 * i + 32])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        out.append(loss.item())
    return out


def convnet_losses() -> list[float]:
    """Ten steps of tests/graph/test_convnet.py, in float64."""
    functional = torch.nn.functional
    x, y = (torch.from_numpy(a) for a in test_convnet.data())
    x = x.double().permute(0, 3, 1, 2)
    w = {
        k: torch.from_numpy(v).double().requires_grad_()
        for k, v in test_convnet.initial_weights().items()
    }
    optimizer = torch.optim.SGD(w.values(), 0.1, momentum=0.9)
    out = []
    for i in range(0, len(x), test_convnet.BATCH):
        batch = slice(i, i + test_convnet.BATCH)
        kernel1, kernel2 = (w[k].permute(3, 2, 0, 1) for k in ("conv1", "conv2"))
        h = functional.conv2d(x[batch], kernel1, w["bias1"], padding=1)
        h = functional.max_pool2d(torch.relu(h), 2)
        h = functional.conv2d(h, kernel2, stride=2, padding=1)
        gamma, beta = w["gamma"], w["beta"]
        h = functional.batch_norm(h, None, None, gamma, beta, True, 0.1, 1e-3)
        depth = w["depth"].permute(2, 3, 0, 1)
        h = functional.conv2d(torch.relu(h), depth, padding=1, groups=16)
        h = functional.avg_pool2d(h, (2, 2), (2, 4)).permute(0, 2, 3, 1).flatten(1)
        h = torch.cat([h, h.mean(-1, keepdim=True).expand(-1, 16)], -1)
        z = h @ w["dense"] + w["bias"]
        loss = functional.cross_entropy(z, y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        out.append(loss.item())
    return out


def write(path: Path, record: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    mlp = {"torch": torch.__version__, **{n: losses(n) for n in OPTIMIZERS}}
    write(Path("tests/models/golden/torch_losses.json"), mlp)
    write(Path("tests/graph/golden/convnet_losses.json"), convnet_losses())
