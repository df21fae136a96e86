# SPDX-License-Identifier: Apache-2.0
"""A machine with a GPU, as CuPy's stand-in has it."""

from __future__ import annotations

import sys

import pytest
from cuda_fake_cupy import Machine

import fastnn
from fastnn.backends.cuda import device as devices


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """One GPU, set as the backend."""
    made = Machine()
    monkeypatch.setitem(sys.modules, "cupy", made.cupy)
    monkeypatch.setattr(devices, "_devices", {})
    monkeypatch.setenv("FASTNN_CUDA_CACHE", str(tmp_path))
    fastnn.config.set_backend("cuda")
    yield made
    fastnn.config.set_backend("cpu")
