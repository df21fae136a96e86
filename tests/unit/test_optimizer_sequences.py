# SPDX-License-Identifier: Apache-2.0
"""20 steps of optimizers, eagerly and planned, against those of Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optimizer_sequences import SEQUENCES, gradients, start

from fastnn import convert_to_tensor, optimizers
from fastnn.autodiff.tensor import Variable
from fastnn.graph.compile import function

GOLDEN = np.load(Path(__file__).parent / "golden" / "keras_optimizers.npz")


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("name", SEQUENCES)
def test_twenty_steps_are_those_of_keras(name: str, planned: bool) -> None:
    make, overflow = SEQUENCES[name]
    optimizer = make(optimizers)
    weights = [Variable(w, dtype="float64", name=n) for n, w in start().items()]
    optimizer.build(weights)

    def apply(*values):
        optimizer.apply(values, weights)

    step = function(apply) if planned else apply
    for number, values in enumerate(gradients(overflow), 1):
        step(*(convert_to_tensor(g) for g in values))
        if number in (1, 10, 20):
            for weight in weights:
                wanted = GOLDEN[f"{name}/{number}/{weight.name}"]
                np.testing.assert_allclose(weight.numpy(), wanted, 2e-7, 2e-8)
    state = [key for key in GOLDEN.files if key.startswith(f"{name}/state/")]
    for i, variable in enumerate(optimizer.variables[: len(state)]):
        wanted = GOLDEN[f"{name}/state/{i}"]
        np.testing.assert_allclose(variable.numpy(), wanted, 2e-6, 1e-7)
