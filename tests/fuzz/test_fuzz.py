# SPDX-License-Identifier: Apache-2.0
"""A short run of every fuzzer, always the same one; `make fuzz` is the long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from targets import TARGETS

RUNS = 2000


@pytest.mark.parametrize("name", TARGETS)
def test_only_model_file_errors(name, tmp_path):
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("fuzz.py"), name, f"--runs={RUNS}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    notes = tmp_path / "out" / "fuzz" / f"{name}.txt"
    assert done.returncode == 0, done.stderr + (
        notes.read_text() if notes.exists() else ""
    )
    (found,) = json.loads(done.stdout)
    assert found["number"] == RUNS
    assert found["loaded"] and found["refused"]
