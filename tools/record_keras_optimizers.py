# SPDX-License-Identifier: Apache-2.0
"""Record 20 steps of Keras's optimizers of tests/optimizer_sequences.py.

Run with a Python that has Keras and JAX (make bench makes one), from the repository's
root (torch overwrites in place what ScheduleFreeAdamW still needs):

    JAX_ENABLE_X64=1 KERAS_BACKEND=jax PYTHONPATH=tests \\
        .venv-bench/bin/python tools/record_keras_optimizers.py

Weights are float64; the file has them after the first, the tenth and the last step, and
the values of the optimizer's own variables at the end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from optimizer_sequences import SEQUENCES, gradients, start

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


def run(name: str) -> dict[str, Any]:
    """What is recorded of one optimizer."""
    make, overflow = SEQUENCES[name]
    optimizer = make(keras.optimizers)
    weights = [keras.Variable(w, dtype="float64", name=n) for n, w in start().items()]
    optimizer.build(weights)
    found = {}
    for step, values in enumerate(gradients(overflow), 1):
        given = [keras.ops.convert_to_tensor(g, dtype="float64") for g in values]
        apply(optimizer, given, weights)
        if step in (1, 10, 20):
            for weight in weights:
                found[f"{name}/{step}/{weight.name}"] = np.array(weight.numpy())
    for i, variable in enumerate(optimizer.variables):
        if not isinstance(optimizer, keras.optimizers.MultiOptimizer):
            found[f"{name}/state/{i}"] = np.array(variable.numpy())
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
