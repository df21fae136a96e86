# SPDX-License-Identifier: Apache-2.0
"""Processes killed while they save, or train with callbacks that save.

With FASTNN_LONG=1, 1,000 of them and more; saving_kills.py does it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from saving_kinds import KINDS, LONG

PROGRAM = Path(__file__).parents[1] / "saving_kills.py"
# Kinds of files, and callbacks that write them while training runs.
RUNS = (*KINDS, "checkpoint", "double")
KILLS = 120 if LONG else 4


@pytest.mark.parametrize("run", RUNS)
def test_no_kill_costs_a_checkpoint(run, quick_path, capsys):
    done = subprocess.run(
        [sys.executable, PROGRAM, run, str(KILLS), "1", str(quick_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["problems"] == []
    assert report["kills"] == KILLS
    assert report["amid"] or not LONG  # some came while a new file was half written
    if LONG:
        with capsys.disabled():
            print(f" {run}: {KILLS} kills, {report['amid']} amid a write", end="")
