# SPDX-License-Identifier: Apache-2.0
"""Imports go strictly downwards, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from importlinter import cli as linter

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
FLOORS = ("base", "shared", "kernels", "runtime", "bindings")
# What the bindings folder is for; the core is free of Python.
PYTHON_API = re.compile(r"\b(?:Python\.h|pybind11|numpy|PyObject|Py_\w+)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.S)

SOURCES = sorted(
    path for path in CSRC.rglob("*") if path.suffix in {".cpp", ".hpp", ".h", ".cu"}
)


def floor_of(path: Path) -> str:
    return path.relative_to(CSRC).parts[0]


def breaches(place: Path, text: str) -> list[str]:
    """Each rule that a source file under `csrc/` breaks."""
    floor = floor_of(place)
    text = COMMENT.sub("", text)
    found = []
    if floor != "bindings" and (hit := PYTHON_API.search(text)):
        found.append(f"{hit[0]} outside csrc/bindings")
    for quote, target in INCLUDE.findall(text):
        first = target.split("/")[0]
        if "../" in target:
            found.append(f"#include {target} climbs up")
        elif quote == '"' and first not in FLOORS:
            found.append(f"#include {target} does not begin with a floor")
        elif first in FLOORS and FLOORS.index(first) > FLOORS.index(floor):
            found.append(f"#include {target} from the floor {floor}")
        elif floor == "shared" and quote == "<" and "." not in target:
            found.append(f"#include <{target}>: shared/ has no std headers (NVRTC)")
    return found


def test_there_is_something_to_check():
    assert {floor_of(path) for path in SOURCES} >= {"base", "shared", "kernels"}


@pytest.mark.parametrize(
    "path", SOURCES, ids=[path.relative_to(CSRC).as_posix() for path in SOURCES]
)
def test_cpp_includes_go_downwards(path):
    assert breaches(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("place", "text", "rule"),
    [
        ("base/a.hpp", "#include <Python.h>", "Python.h outside"),
        ("kernels/a.cpp", "#include <pybind11/numpy.h>", "pybind11 outside"),
        ("runtime/a.cpp", '#include "../base/a.hpp"', "climbs up"),
        ("base/a.cpp", '#include "kernels/table.hpp"', "from the floor base"),
        ("kernels/a.cpp", '  #  include "runtime/plan.hpp"', "from the floor kernels"),
        ("runtime/a.cpp", '#include "plan.hpp"', "begin with a floor"),
        ("shared/a.h", "#include <cmath>", "no std headers"),
    ],
)
def test_each_rule_catches(place, text, rule):
    assert [rule in breach for breach in breaches(CSRC / place, text)] == [True]


def test_cuda_sources_include_only_shared():
    for path in (CSRC / "cuda").glob("*.cu*"):
        for quote, target in INCLUDE.findall(path.read_text(encoding="utf-8")):
            assert quote == '"' and target.startswith(("shared/", "cuda/")), path


def test_cupy_is_imported_in_one_place():
    importers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "fastnn").rglob("*.py")
        if re.search(r"^\s*(?:import|from) cupy\b", path.read_text("utf-8"), re.M)
    ]
    assert importers == ["fastnn/backends/cuda/device.py"]


def test_python_floors(monkeypatch):
    """The import-linter contract of pyproject.toml, read from the source tree."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(str(ROOT))
    assert linter.lint_imports(no_cache=True) == linter.EXIT_STATUS_SUCCESS
