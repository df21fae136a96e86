# SPDX-License-Identifier: Apache-2.0
"""What holds for all tests: graphs are verified after every pass."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session", autouse=True)
def _verified_graphs():
    from fastnn.graph import spec

    before, spec.CHECK = spec.CHECK, True
    yield
    spec.CHECK = before
