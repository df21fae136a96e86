# SPDX-License-Identifier: Apache-2.0
"""Every test begins at the same random numbers."""

from __future__ import annotations

import pytest

from fastnn.seeds import set_random_seed


@pytest.fixture(autouse=True)
def seeded():
    set_random_seed(0)
