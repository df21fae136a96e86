# SPDX-License-Identifier: Apache-2.0
"""Record what Keras makes of tests/functional_cases.py.

KERAS_BACKEND=jax python tools/record_keras_functional.py     # needs keras 3
KERAS_BACKEND=tensorflow python tools/record_keras_functional.py penalties

Writes tests/models/golden/keras_functional.json: histories, evaluations, predictions
and weights after training, and the models' configs and summaries; of all cases or those
named. Not `penalties` with JAX: there Keras forgets losses that all calls of a shared
layer but the last have added.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DIGITS = 7


def rounded(value: Any) -> Any:
    """Floats with the digits that a float32 has."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value


def main() -> None:
    os.environ["COLUMNS"] = "120"
    sys.path.insert(0, str(ROOT / "tests"))
    import functional_cases as cases
    import keras

    found: dict[str, Any] = {}
    if cases.GOLDEN.exists():
        found = json.loads(cases.GOLDEN.read_text())
    found["keras"] = keras.__version__
    for name in sys.argv[1:] or cases.CASES:
        make = cases.CASES[name]
        keras.utils.clear_session()
        case = make(keras)
        lines: list[str] = []
        case.model.summary(print_fn=lines.append, line_length=110)
        record = {
            "config": case.model.get_config(),
            "layers": [layer.name for layer in case.model.layers],
            "summary": "\n".join(lines),
            **cases.train(keras, case),
        }
        found[name] = rounded(record)
    cases.GOLDEN.write_text(json.dumps(found, indent=None, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
