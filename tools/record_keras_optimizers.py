# SPDX-License-Identifier: Apache-2.0
"""Record 20 steps of Keras's optimizers of tests/optimizer_sequences.py.

Run with a Python that has Keras and JAX (make bench makes one), from the repository's
root (torch overwrites in place what ScheduleFreeAdamW still needs):

    JAX_ENABLE_X64=1 KERAS_BACKEND=jax PYTHONPATH=tests \\
        .venv-bench/bin/python tools/record_keras_optimizers.py

Weights are float64. The file has them after each step,
or each fifth, rounded to float32, and in full
what training leaves: the optimizer's own variables, and the weights made final.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from optimizer_sequences import SEQUENCES, flat, gradients, start

GOLDEN = Path("tests/unit/golden/keras_optimizers.npz")


def apply(optimizer: Any, grads: list[Any], weights: list[Any]) -> None:
    """One step; in JAX branches cannot assign, so the stateless form is used."""
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer.apply(grads, weights)
        return
    state = [v.value for v in optimizer.variables]
    values = [w.value for w in weights]
    values, state = optimizer.stateless_apply(state, grads, values)
    pairs = zip([*weights, *optimizer.variables], [*values, *state], strict=True)
    for variable, value in pairs:
        variable.assign(value)


def run(name: str) -> dict[str, np.ndarray]:
    """What is recorded of one optimizer."""
    make, overflow, recorded = SEQUENCES[name]
    optimizer = make(keras.optimizers)
    weights = [keras.Variable(w, dtype="float64", name=n) for n, w in start().items()]
    optimizer.build(weights)
    steps = []
    for number, values in enumerate(gradients(overflow), 1):
        given = [keras.ops.convert_to_tensor(g, dtype="float64") for g in values]
        apply(optimizer, given, weights)
        if number in recorded:
            steps.append(flat([w.numpy() for w in weights]))
    found = {f"{name}/steps": np.float32(steps)}
    if not isinstance(optimizer, keras.optimizers.MultiOptimizer):
        state = flat([v.numpy() for v in optimizer.variables])
        optimizer.finalize_variable_values(weights)
        final = flat([w.numpy() for w in weights])
        found |= {f"{name}/state": state, f"{name}/final": final}
    return found


def main() -> None:
    found: dict[str, Any] = {}
    for name in SEQUENCES:
        found |= run(name)
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **found)
    print(GOLDEN, GOLDEN.stat().st_size)


if __name__ == "__main__":
    main()
