# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the training tests."""

from __future__ import annotations

import pytest

from fastnn import config
from fastnn.seeds import set_random_seed


@pytest.fixture(params=[False, True], ids=["native", "eager"])
def eager(request):
    return request.param


@pytest.fixture
def float64():
    config.set_floatx("float64")
    yield
    config.set_floatx("float32")


@pytest.fixture(autouse=True)
def seeded():
    """The same initial weights in every run."""
    set_random_seed(0)
