# SPDX-License-Identifier: Apache-2.0
"""The import budget: NumPy, one native library, and 40 ms above NumPy."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest

LIMIT_MS = 40
ROUNDS = 5
PAIRS = 5
# Standard modules that cost milliseconds and that only some calls need.
LATE = {
    "argparse",
    "asyncio",
    "csv",
    "dataclasses",
    "email",
    "gzip",
    "http",
    "inspect",
    "json",
    "logging",
    "multiprocessing",
    "socket",
    "subprocess",
    "tempfile",
    "unittest",
    "urllib.request",
    "zipfile",
}


def fresh(code: str) -> str:
    """Output of `code` in a new interpreter, away from the source tree."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def added() -> set[str]:
    """Modules that `import fastnn` loads on top of NumPy."""
    code = (
        "import sys, numpy; before = set(sys.modules); import fastnn\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    return set(fresh(code).split())


def test_no_third_party_module(added):
    roots = {name.partition(".")[0] for name in added}
    assert "fastnn" in roots
    # NumPy's own lazy parts are NumPy.
    assert roots - sys.stdlib_module_names - {"fastnn", "numpy"} == set()


def test_no_late_module(added):
    assert added & LATE == set()


def test_lazy_faces_are_not_loaded(added):
    late = {"fastnn.keras", "fastnn.tf", "fastnn.datasets", "fastnn.saving"}
    assert added & late == set()


def milliseconds(code: str) -> float:
    start = time.perf_counter()
    fresh(code)
    return (time.perf_counter() - start) * 1e3


def test_import_time_over_numpy():
    """Best of rounds, because another process's burst may spoil one of them."""
    medians = []
    for _ in range(ROUNDS):
        pairs = [
            milliseconds("import numpy, fastnn") - milliseconds("import numpy")
            for _ in range(PAIRS)
        ]
        medians.append(statistics.median(pairs))
    assert min(medians) <= LIMIT_MS, f"round medians in ms: {medians}"
