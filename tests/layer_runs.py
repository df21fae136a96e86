# SPDX-License-Identifier: Apache-2.0
"""A row of the table of layers in fastnn: results, gradients, changed weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from layer_cases import Case, uniform, weight
from layer_table import changed, output_names

from fastnn import layers, ops, tree
from fastnn.autodiff.grad import GradientTape
from fastnn.autodiff.tensor import Tensor


class Run:
    """A built layer with the case's weights, and what it is called on.

    Its batch size is known to `build` where the layer keeps states.
    """

    def __init__(self, case: Case, dtype: str) -> None:
        rng = case.rng()
        self.case = case
        self.layer = case.make(layers, dtype=dtype)
        dtype = "float32" if dtype.startswith("mixed") else dtype
        self.inputs = [a if case.classes else a.astype(dtype) for a in case.inputs(rng)]
        self.masks: dict[str, Any] = dict(case.drawn_masks())
        self.shapes = case.arranged([(None, *a.shape[1:]) for a in self.inputs])
        known = case.arranged([a.shape for a in self.inputs])
        stateful = case.arguments.get("stateful")
        self.layer.build(*(known if stateful else self.shapes))
        drawn = [weight(rng, w.name, w.shape) for w in self.layer.weights]
        self.layer.set_weights(drawn)
        self._before = self.layer.get_weights()
        self._rng, self._dtype, self._c = rng, dtype, None

    def call(self, inputs: list[Any], masks: dict[str, Any] | None = None) -> Any:
        return self.case.call(
            self.layer, inputs, self.masks if masks is None else masks
        )

    def output_shape(self) -> list[Any]:
        reverse = {k: v for k, v in self.case.options.items() if k == "reverse"}
        return list(self.layer.compute_output_shape(*self.shapes, **reverse))

    def results(self, *inputs: Tensor) -> dict[str, Any]:
        """Outputs and gradients, by their names in the golden file."""
        watched = [] if self.case.classes else list(inputs)
        trained = self.layer.trainable_weights
        with GradientTape() as tape:
            tape.watch(watched)
            outputs = tree.flatten(self.call(list(inputs)))
            if self._c is None:
                drawn = [uniform(self._rng, y.shape) for y in outputs]
                self._c = [c.astype(self._dtype) for c in drawn]
            pairs = zip(outputs, self._c, strict=True)
            total = sum(ops.sum(ops.multiply(y, c)) for y, c in pairs)
        sources = [*watched, *trained]
        gradients = tape.gradient(total, sources) if sources else []
        names = [*output_names(outputs), *(f"dx{i}" for i in range(len(watched)))]
        names += [f"d{w.name}" for w in trained]
        pairs = zip(names, [*outputs, *gradients], strict=True)
        return {name: value for name, value in pairs if value is not None}

    def eagerly(self) -> dict[str, np.ndarray]:
        results = self.results(*(ops.convert_to_tensor(a) for a in self.inputs))
        return {name: value.numpy() for name, value in results.items()}

    def statistics(self) -> dict[str, np.ndarray]:
        """Weights that the call has changed."""
        return changed(self._before, self.layer.weights)
