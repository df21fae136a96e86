# SPDX-License-Identifier: Apache-2.0
"""Trainings drawn at random, killed by SIGKILL and resumed, equal those let alone.

With FASTNN_LONG=1, 200 of them; saving_resumes.py does it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from saving_kinds import LONG

PROGRAM = Path(__file__).parents[1] / "saving_resumes.py"
COUNT = 200 if LONG else 6


def test_killed_and_resumed_equals_uninterrupted(quick_path, capsys):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM, str(COUNT), "1", str(quick_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["problems"] == [], done.stderr
    assert sum(report["killed"].values()) == COUNT
    if LONG:
        assert set(report["killed"]) == {"batch", "epoch", "saving"}
        with capsys.disabled():
            print(f" {COUNT} killed and resumed: {report['killed']}", end="")
