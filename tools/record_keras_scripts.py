# SPDX-License-Identifier: Apache-2.0
"""Record what the scripts of tests/scripts print in Keras.

Run with a Python that has Keras, JAX and TensorFlow (make bench makes one), from the
repository's root; names choose some:

    PYTHONPATH=tests .venv-bench/bin/python tools/record_keras_scripts.py [NAME...]

Each runs in a process of its own: on TensorFlow when it imports it, else on JAX, whose
gradients of embeddings are dense as fastnn's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from script_cases import GOLDEN, SCRIPTS, printed_by


def record(script: Path) -> None:
    """In a child: runs the script, writes its output."""
    with tempfile.TemporaryDirectory() as folder:
        lines = printed_by(script.read_text(), script.name, Path(folder))
    (GOLDEN / f"{script.stem}.txt").write_text("\n".join(lines) + "\n")


def main(names: list[str]) -> None:
    GOLDEN.mkdir(exist_ok=True)
    for script in SCRIPTS:
        if names and script.stem not in names:
            continue
        uses_tf = "import tensorflow" in script.read_text()
        backend = "tensorflow" if uses_tf else "jax"
        settings = {"KERAS_BACKEND": backend, "COLUMNS": "200", "RECORD": "1"}
        settings |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
        command = [sys.executable, __file__, script.stem]
        subprocess.run(command, env={**os.environ, **settings}, check=True)
        print(script.stem, backend)


if __name__ == "__main__":
    if "RECORD" in os.environ:
        record(next(path for path in SCRIPTS if path.stem == sys.argv[1]))
    else:
        main(sys.argv[1:])
