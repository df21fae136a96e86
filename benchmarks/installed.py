# SPDX-License-Identifier: Apache-2.0
"""Bytes on disk of distributions with everything that they depend on."""

from __future__ import annotations

import importlib.util
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.workloads import ROOT


def installed_bytes(*names: str) -> int:
    """Files of the distributions and of their requirements, without extras; each once.

    fastnn imported from a source tree is no distribution: then its package's folder
    counts, and what pyproject.toml asks for.

    Raises:
        metadata.PackageNotFoundError: a distribution is not installed.
    """
    total, seen, waiting = 0, set[str](), list(names)
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        size, requirements = _one(current)
        total += size
        needed = map(Requirement, requirements)
        waiting += [
            _canonical(r.name)
            for r in needed
            if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    return total


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _one(name: str) -> tuple[int, list[str]]:
    """Bytes of its own, and what it requires."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        if name != "fastnn-dl":
            raise
        return _source_tree()
    paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
    return _bytes(paths), found.requires or []


def _source_tree() -> tuple[int, list[str]]:
    spec = importlib.util.find_spec("fastnn")
    if spec is None or spec.origin is None:
        raise metadata.PackageNotFoundError("fastnn-dl")
    files = [p for p in Path(spec.origin).parent.rglob("*") if p.suffix != ".pyx"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return _bytes(files), project["dependencies"]


def _bytes(paths: list[Path]) -> int:
    """Bytecode is left out: it appears with use."""
    return sum(p.stat().st_size for p in paths if p.suffix != ".pyc" and p.is_file())
