# SPDX-License-Identifier: Apache-2.0
"""Every test begins at the same random numbers."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from saving_cases import trained

from fastnn.seeds import set_random_seed


@pytest.fixture(autouse=True)
def seeded():
    set_random_seed(0)


@pytest.fixture
def quick_path(tmp_path):
    """A folder in memory where the system has one: `fsync` takes no time there."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@pytest.fixture
def model():
    return trained()


@pytest.fixture
def members(model, tmp_path):
    """The members of a sound archive, to be changed."""
    model.save(tmp_path / "sound.keras")
    with zipfile.ZipFile(tmp_path / "sound.keras") as file:
        return {name: file.read(name) for name in file.namelist()}
