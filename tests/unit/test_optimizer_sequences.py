# SPDX-License-Identifier: Apache-2.0
"""20 steps of every optimizer, eagerly and planned, against those of Keras."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from optimizer_sequences import COMMON, SEQUENCES, STEPS, flat, gradients, start

from fastnn import convert_to_tensor, optimizers
from fastnn.autodiff.tensor import Variable
from fastnn.graph.compile import function
from fastnn.serialization import exported

GOLDEN = np.load(Path(__file__).parent / "golden" / "keras_optimizers.npz")


def test_every_optimizer_has_a_sequence() -> None:
    table = exported("keras.optimizers")
    classes = {n for n, c in table.items() if isinstance(c, type)}
    made = {type(row.make(optimizers)).__name__ for row in SEQUENCES.values()}
    # The base class, and the argument of MultiOptimizer.
    assert classes - made == {"Optimizer", "OptimizerMap"}
    alone = made - {"LossScaleOptimizer", "MultiOptimizer"}
    assert {f"{name}-{key}" for name in alone for key in COMMON} <= SEQUENCES.keys()


@pytest.mark.parametrize("planned", [False, True])
@pytest.mark.parametrize("name", SEQUENCES)
def test_twenty_steps_are_those_of_keras(name: str, planned: bool) -> None:
    make, overflow, recorded = SEQUENCES[name]
    optimizer = make(optimizers)
    weights = [Variable(w, dtype="float64", name=n) for n, w in start().items()]
    optimizer.build(weights)

    def apply(*values):
        optimizer.apply(values, weights)

    step = function(apply) if planned else apply
    expected = dict(zip(recorded, GOLDEN[f"{name}/steps"], strict=True))
    assert STEPS in expected
    # Of the relative step, float32 in Keras, a clipped update is a quotient.
    atol = 5e-8 if name == "Adafactor-1" else 2e-8
    for number, values in enumerate(gradients(overflow), 1):
        step(*(convert_to_tensor(g) for g in values))
        if number in expected:
            np.testing.assert_allclose(flat(weights), expected[number], 2e-7, atol)
    if f"{name}/state" in GOLDEN.files:
        state, final = (GOLDEN[f"{name}/{key}"] for key in ("state", "final"))
        if name.startswith("Nadam"):
            state = state[:-1]  # the product of momenta, no variable of fastnn's
        np.testing.assert_allclose(flat(optimizer.variables), state, 2e-6, 1e-7)
        optimizer.finalize_variable_values(weights)
        np.testing.assert_allclose(flat(weights), final, 2e-7, 2e-8)
