# SPDX-License-Identifier: Apache-2.0
"""Interleaved turns of one repeated call, for the benchmarks of single functions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks import harness
from benchmarks.harness import Limits, Sample
from benchmarks.session import Session

MOST_CALLS = 10**6


def interleave(
    session: Session,
    names: list[str],
    rounds: int,
    seconds: float,
    work: float,
    request: str = "run",
    **given: Any,
) -> list[Sample]:
    """Turns of about `seconds` in which each child repeats one request.

    `work` is what one call does, in the unit of the result. `run` repeats what the
    child has prepared; another request is told what to do by `given`.
    """
    calls: dict[str, int] = {}
    for name in names:
        ask = session.children[name].ask
        ask(request, calls=2, **given)
        once = ask(request, calls=3, **given)[session.seconds] / 3
        calls[name] = harness.units_for(seconds, once, MOST_CALLS)

        def warm(ask: Any = ask, count: int = calls[name]) -> float:
            return ask(request, calls=count, **given)[session.seconds]

        harness.until_stable(warm, most=5)

    def turn(name: str, round_: int) -> Sample:
        count = calls[name]
        return session.turn(name, round_, count * work, request, calls=count, **given)

    samples = harness.run_rounds(names, rounds, turn) if names else []
    if samples:
        harness.judge(samples, Limits())
    return samples


def ratios(samples: list[Sample], names: list[str], ours: str) -> dict[str, Any]:
    """Cost of each, and of the others as multiples of ours within a round."""
    cells: dict[str, Any] = {}
    for name in names:
        cells[name] = {"cost": harness.summary(samples, name)}
        if ours in names and name != ours:
            ratio = harness.paired_ratio(samples, ours, name, Limits())
            cells[name]["ratio"] = asdict(ratio)
    return cells
