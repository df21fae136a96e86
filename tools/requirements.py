# SPDX-License-Identifier: Apache-2.0
"""Prints requirements that pyproject.toml states, one per line, for `pip -r`.

`python tools/requirements.py build test` prints those of `[build-system]` and of the
extra `test`, so that no list of packages stands in two places.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(section: str) -> list[str]:
    """Requirements of the build (`build`), of the package (`run`), or of an extra."""
    path = Path(__file__).resolve().parents[1] / "pyproject.toml"
    stated = tomllib.loads(path.read_text(encoding="utf-8"))
    if section == "build":
        # cmake and ninja are asked for by the build backend, not by the file.
        return [*stated["build-system"]["requires"], "cmake>=3.25", "ninja"]
    if section == "run":
        return stated["project"]["dependencies"]
    return stated["project"]["optional-dependencies"][section]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print("\n".join(requirements(name)))
