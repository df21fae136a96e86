# SPDX-License-Identifier: Apache-2.0
"""The workloads' layers as torch modules, and Keras's weights as theirs.

Images are NCHW tensors. With `last` they are laid out channels last, and flattening
keeps Keras's order of elements; without, the rows of the next kernel are put into
torch's order when it is filled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks import layers
from benchmarks.layers import Shape
from benchmarks.workloads import Workload

# A tensor of the model, and what it is filled with, from Keras's array.
Slot = tuple[torch.Tensor, Callable[[np.ndarray], np.ndarray]]
Built = tuple[list[nn.Module], list[Slot]]


class _FlattenLast(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


class _Builder:
    def __init__(self, last: bool) -> None:
        self.last = last
        self.image: Shape | None = None  # what was flattened just before

    def dense(self, d: layers.Dense, shape: Shape) -> Built:
        linear = nn.Linear(shape[0], d.units)
        image, self.image = self.image, None

        def kernel(w: np.ndarray) -> np.ndarray:
            if image is not None and not self.last:
                w = w.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(w.shape)
            return w.T

        slots = [(linear.weight, kernel), (linear.bias, _same)]
        return [linear, *_activation(d.activation)], slots

    def conv(self, d: layers.Conv, shape: Shape) -> Built:
        conv = nn.Conv2d(shape[2], d.filters, d.size, padding=d.size // 2)
        slots = [
            (conv.weight, lambda w: w.transpose(3, 2, 0, 1)),
            (conv.bias, _same),
        ]
        return [conv, *_activation(d.activation)], slots

    def norm(self, d: layers.BatchNorm, shape: Shape) -> Built:
        kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
        norm = kind(shape[-1], eps=d.epsilon, momentum=1 - d.momentum)
        names = ("weight", "bias", "running_mean", "running_var")
        return [norm], [(getattr(norm, name), _same) for name in names]

    def flatten(self, d: layers.Flatten, shape: Shape) -> Built:
        self.image = shape
        return [_FlattenLast() if self.last else nn.Flatten()], []

    def build(self, d: layers.Layer, shape: Shape) -> Built:
        with_weights: dict[type[layers.Layer], Any] = {
            layers.Dense: self.dense,
            layers.Conv: self.conv,
            layers.BatchNorm: self.norm,
            layers.Flatten: self.flatten,
        }
        if type(d) in with_weights:
            return with_weights[type(d)](d, shape)
        if isinstance(d, layers.Pool):
            return [nn.MaxPool2d(d.size)], []
        if isinstance(d, layers.Dropout):
            return [nn.Dropout(d.rate)], []
        assert isinstance(d, layers.Elu), d
        return [nn.ELU()], []


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _activation(name: str) -> list[nn.Module]:
    return [nn.ReLU()] if name == "relu" else []


def build(workload: Workload, last: bool) -> tuple[nn.Sequential, list[Slot]]:
    """The model without its softmax, and where Keras's weights go, in their order."""
    builder = _Builder(last)
    modules: list[nn.Module] = []
    slots: list[Slot] = []
    for layer, shape in workload.shapes():
        own, filled = builder.build(layer, shape)
        modules += own
        slots += filled
    model = nn.Sequential(*modules)
    if last:
        model = model.to(memory_format=torch.channels_last)
    return model, slots
