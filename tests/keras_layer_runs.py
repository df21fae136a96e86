# SPDX-License-Identifier: Apache-2.0
"""A row of the table of layers in Keras on torch; layer_runs.py has it in fastnn."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from layer_cases import Case, uniform, weight
from layer_table import changed, output_names


def array(tensor: Any) -> np.ndarray:
    """As NumPy; bfloat16 as float32, which has all its values."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


class KerasRun:
    """A built layer with the case's weights, and what it is called on."""

    def __init__(self, case: Case, dtype: str) -> None:
        rng = case.rng()
        self.case = case
        self.layer = case.make(keras.layers, dtype=dtype)
        dtype = "float32" if dtype.startswith("mixed") else dtype
        self._dtype = getattr(torch, dtype)
        self.inputs: list[Any] = []
        for values in case.inputs(rng):
            given = torch.from_numpy(values)
            if not case.classes:
                given = given.to(self._dtype).requires_grad_()
            self.inputs.append(given)
        drawn = case.drawn_masks().items()
        self.masks = {name: torch.from_numpy(mask) for name, mask in drawn}
        self.layer.build(*case.arranged([tuple(x.shape) for x in self.inputs]))
        weights = self.layer.weights
        self.layer.set_weights([weight(rng, w.name, w.shape) for w in weights])
        if hasattr(self.layer, "finalize_state"):
            self.layer.finalize_state()  # what Normalization computes with are copies
        # Copies: Keras on torch assigns in place.
        self._before = [np.array(a) for a in self.layer.get_weights()]
        self._rng, self._c = rng, None
        # Keras assigns kept states in place, which the way back still needs.
        self.differentiates = bool(case.states) or "stateful" not in case.arguments

    def call(self) -> Any:
        return self.case.call(self.layer, self.inputs, self.masks)

    def results(self) -> dict[str, Any]:
        """Outputs and gradients as tensors, by the names of layer_runs.Run."""
        watched = [] if self.case.classes else self.inputs
        trained = self.layer.trainable_weights
        outputs = keras.tree.flatten(self.call())
        if self._c is None:
            drawn = [torch.from_numpy(uniform(self._rng, y.shape)) for y in outputs]
            self._c = [c.to(self._dtype) for c in drawn]
        total = sum((y * c).sum() for y, c in zip(outputs, self._c, strict=True))
        sources = [*watched, *(w.value for w in trained)]
        gradients = [None] * len(sources)
        if total.requires_grad and self.differentiates:
            gradients = torch.autograd.grad(total, sources, allow_unused=True)
        names = [*output_names(outputs), *(f"dx{i}" for i in range(len(watched)))]
        names += [f"d{w.name}" for w in trained]
        pairs = zip(names, [*outputs, *gradients], strict=True)
        return {name: value for name, value in pairs if value is not None}

    def statistics(self) -> dict[str, np.ndarray]:
        """Weights that the call has changed."""
        return changed(self._before, self.layer.weights)


def draws(case: Case) -> bool:
    """Whether a call uses random numbers."""
    runs = [keras.tree.flatten(KerasRun(case, "float32").call()) for _ in range(4)]
    return any(
        (a != b).any() for r in runs[1:] for a, b in zip(runs[0], r, strict=True)
    )
