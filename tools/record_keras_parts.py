# SPDX-License-Identifier: Apache-2.0
"""Record what Keras computes for the rows of part_cases.py and function_cases.py.

Run with a Python that has Keras and torch (make bench makes one), from the repository's
root:

    KERAS_BACKEND=torch PYTHONPATH=tests \\
        .venv-bench/bin/python tools/record_keras_parts.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import function_cases
import keras
import numpy as np
import part_cases

GOLDEN = Path("tests/unit/golden/keras_parts.npz")


def main() -> None:
    found = {}
    for name, row in {**part_cases.rows(), **function_cases.rows()}.items():
        try:
            values = row(keras)
        except Exception:
            print(f"in {name}", file=sys.stderr)
            raise
        found[name] = np.concatenate([np.ravel(v) for v in values]).astype("f")
    np.savez_compressed(GOLDEN, **found)
    print(len(found), "rows", GOLDEN, GOLDEN.stat().st_size)


if __name__ == "__main__":
    main()
