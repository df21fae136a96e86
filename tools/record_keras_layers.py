# SPDX-License-Identifier: Apache-2.0
"""Record what Keras computes for the table tests/layer_cases.py.

Run with a Python that has Keras and torch (make bench makes one), from the repository's
root:

    KERAS_BACKEND=torch PYTHONPATH=tests \\
        .venv-bench/bin/python tools/record_keras_layers.py

Layers compute in float64 (torch computes channels_first and all gradients on a CPU);
results are kept in float32. For each case: outputs, and the gradients of sum(outputs c)
with random c in the inputs and the trainable weights. For each class the first case's
serialized form; for each case names and shapes of the weights and the output's shape.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from layer_cases import CASES, Case, uniform, weight

GOLDEN = Path("tests/layers/golden")


def record(case: Case, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Puts the results of a case into `arrays`; returns what is no array."""
    rng = case.rng()
    layer = case.make(keras.layers, dtype="float64")
    serialized = keras.layers.serialize(layer)
    inputs: list[Any] = []
    for array in case.inputs(rng):
        tensor = torch.from_numpy(array)
        inputs.append(tensor if case.classes else tensor.requires_grad_())
    masks = {k: torch.from_numpy(a) for k, a in case.drawn_masks().items()}
    layer.build(*case.arranged([tuple(x.shape) for x in inputs]))
    layer.set_weights([weight(rng, w.name, w.shape) for w in layer.weights])
    before = layer.get_weights()
    y = layer(*case.arranged(inputs), **masks, **case.keywords())
    c = torch.from_numpy(uniform(rng, y.shape))
    wanted = [] if case.classes else inputs
    trained = [w.value for w in layer.trainable_weights]
    total, sources = (y * c).sum(), [*wanted, *trained]
    gradients = torch.autograd.grad(total, sources, allow_unused=True)
    names = [f"dx{i}" for i in range(len(wanted))]
    names += [f"d{w.name}" for w in layer.trainable_weights]
    for name, value in zip(["y", *names], [y, *gradients], strict=True):
        if value is not None:
            arrays[f"{case.name}/{name}"] = value.detach().numpy().astype("f")
    for w, old in zip(layer.weights, before, strict=True):
        new = keras.ops.convert_to_numpy(w)
        if not np.array_equal(new, old):  # the call assigned it
            arrays[f"{case.name}/{w.name}"] = new.astype("f")
    shapes = [(None, *x.shape[1:]) for x in inputs]
    reverse = {k: v for k, v in case.options.items() if k == "reverse"}
    result = layer.compute_output_shape(*case.arranged(shapes), **reverse)
    facts = {"weights": [[w.name, list(w.shape)] for w in layer.weights]}
    facts["output_shape"] = list(result)
    if case.name.endswith("-0"):
        facts["serialized"] = serialized
    return facts


def main() -> None:
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"keras": keras.__version__}
    for case in CASES:
        try:
            facts[case.name] = record(case, arrays)
        except Exception:
            print(f"in {case}", file=sys.stderr)
            raise
    GOLDEN.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN / "keras_layers.npz", **arrays)
    text = json.dumps(facts, indent=None, separators=(",", ":"))
    (GOLDEN / "keras_layers.json").write_text(text.replace('},"', '},\n"') + "\n")
    for path in sorted(GOLDEN.glob("keras_layers.*")):
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()
