# SPDX-License-Identifier: Apache-2.0
"""Record what Keras calls its public names, and their arguments.

python tools/record_keras_signatures.py keras_api_detail.json

The file is Keras's public API as JSON: {module: {"names": {name: {"signature": ...}}}}.
What is written, tests/unit/keras_signatures.txt, has one line per name: the modules
that export it, the name, and its signature ("?" where the file has none).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "tests/unit/keras_signatures.txt"


def main(path: str) -> None:
    api = json.loads(Path(path).read_text())
    rows: dict[tuple[str, str], list[str]] = {}
    for module, described in api.items():
        for name, entry in described.get("names", {}).items():
            key = name, entry.get("signature") or "?"
            rows.setdefault(key, []).append(module)
    lines = (f"{'+'.join(rows[key])} {' '.join(key)}" for key in rows)
    TARGET.write_text("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
