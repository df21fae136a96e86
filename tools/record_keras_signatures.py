# SPDX-License-Identifier: Apache-2.0
"""Record what Keras calls the functions of its low-level API, and their arguments.

python tools/record_keras_signatures.py keras_api_detail.json

The file is Keras's public API as JSON: {module: {"names": {name: {"signature": ...}}}}.
What is written, tests/unit/keras_signatures.txt, has one line per name: the modules
that export it, the name, and its signature ("?" where the file has none).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

MODULES = (
    *("keras.ops", "keras.ops.image", "keras.ops.linalg", "keras.ops.nn"),
    *("keras.ops.numpy", "keras.random", "keras.tree", "keras.config", "keras.backend"),
)
TARGET = Path(__file__).resolve().parents[1] / "tests/unit/keras_signatures.txt"


def main(path: str) -> None:
    api = json.loads(Path(path).read_text())
    rows: dict[tuple[str, str], list[str]] = {}
    for module in MODULES:
        for name, entry in api[module]["names"].items():
            key = name, entry.get("signature") or "?"
            rows.setdefault(key, []).append(module)
    lines = (f"{'+'.join(rows[key])} {' '.join(key)}" for key in rows)
    TARGET.write_text("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
