# SPDX-License-Identifier: Apache-2.0
"""What tools/gen_stubs.py writes is what lies in the tree."""

from __future__ import annotations

import gen_stubs
import pytest


def test_generated_files_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gen_stubs.py", "--check"])
    assert gen_stubs.main() == 0, "run python tools/gen_stubs.py"
