# SPDX-License-Identifier: Apache-2.0
"""Scripts for Keras, as books and guides write them, and what they print.

tools/record_keras_scripts.py runs tests/scripts/*.py in Keras and keeps their output;
tests/models/test_scripts.py runs them in fastnn with only the import lines changed.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "scripts"
SCRIPTS = sorted(FOLDER.glob("*.py"))
GOLDEN = FOLDER / "golden"
_IMPORTS = [
    (r"^import keras$", "from fastnn import keras"),
    (r"^from keras import", "from fastnn.keras import"),
    (r"^import tensorflow as tf$", "from fastnn import tf"),
]
_NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d+")


def for_fastnn(source: str) -> str:
    """The script with other import lines."""
    for old, new in _IMPORTS:
        source = re.sub(old, new, source, flags=re.MULTILINE)
    return source


def printed_by(source: str, name: str, folder: Path) -> list[str]:
    """Runs a script in an empty folder; returns the lines that it prints."""
    out, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(source, name, "exec"), {"__name__": "__main__"})
    finally:
        os.chdir(before)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _last_digit(number: str) -> float:
    """One in the last place printed, at most in the fourth."""
    return 1.01 * 10.0 ** -max(4, len(number.partition(".")[2]))


def same(line: str, expected: str) -> bool:
    """Equal but for the last digit printed of each number, or 2e-5 of a long one."""
    if _NUMBER.sub("#", line) != _NUMBER.sub("#", expected):
        return False
    pairs = zip(_NUMBER.findall(line), _NUMBER.findall(expected), strict=True)
    return all(
        math.isclose(float(a), float(b), rel_tol=2e-5, abs_tol=_last_digit(b))
        for a, b in pairs
    )
