# SPDX-License-Identifier: Apache-2.0
"""Pointwise ops and conversions of dtype: a chain of one (backends/cuda/chains.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.backends.cuda.chains import Link, chain_launch
from fastnn.backends.cuda.rules import family, rule

if TYPE_CHECKING:
    from fastnn.backends.cuda.launches import Task
    from fastnn.backends.cuda.rules import Call

FAMILIES = ("arithmetic", "elementary", "activation")


@rule("cast")
@family(*FAMILIES)
def pointwise(call: Call) -> list[Task]:
    """A thread for each element, or for 16 bytes of them."""
    sources = tuple(range(len(call.ins)))
    link = Link(call.op, call.attrs, sources, call.outs[0].dtype)
    return [chain_launch(call.ins, [link], [(0, call.outs[0])])]
