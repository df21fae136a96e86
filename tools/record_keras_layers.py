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
from keras_layer_runs import KerasRun, array
from layer_cases import CASES, Case

GOLDEN = Path("tests/layers/golden")


def record(case: Case, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Puts the results of a case into `arrays`; returns what is no array."""
    run = KerasRun(case, "float64")
    layer, inputs = run.layer, run.inputs
    for name, value in run.results().items():
        arrays[f"{case.name}/{name}"] = array(value).astype("f")
    for name, value in run.statistics().items():
        arrays[f"{case.name}/{name}"] = value.astype("f")
    shapes = [(None, *x.shape[1:]) for x in inputs]
    reverse = {k: v for k, v in case.options.items() if k == "reverse"}
    result = layer.compute_output_shape(*case.arranged(shapes), **reverse)
    facts = {"weights": [[w.name, list(w.shape)] for w in layer.weights]}
    facts["output_shape"] = list(result)
    if case.name.endswith("-0"):
        fresh = case.make(keras.layers, dtype="float64")
        facts["serialized"] = keras.layers.serialize(fresh)
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
