# SPDX-License-Identifier: Apache-2.0
"""Prints the instruction sets this machine can run below the one fastnn chose."""

from __future__ import annotations

from fastnn import _core

if __name__ == "__main__":
    active = _core.isa()
    print(*(isa for isa in _core.available_isas() if isa != active))
