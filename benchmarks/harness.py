# SPDX-License-Identifier: Apache-2.0
"""The measuring protocol: interleaved rounds, clean ones kept, ratios within a round.

A *sample* is one turn of one framework. A *round* holds one turn of each, in an order
that rotates, with a peak probe between turns. Two frameworks are compared only inside a
round, where both saw the same machine: the result is the median of the per-round
ratios with a bootstrap interval, never a ratio of two medians. This file knows nothing
about frameworks or processes except the two callables it is given, so the tests feed
it invented machines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Limits:
    """When a turn is dropped.

    Attributes:
        fma_drop: fall of the FMA probe below the session's upper quartile.
        copy_drop: the same for copy bandwidth, which is less steady by nature.
        steal: share of the turn's CPU time that the hypervisor took.
        foreign: share that other processes used.
        switches: involuntary context switches, as a multiple of the framework's own
            median rate, and how many per second are never too many.
        least_kept: fewest clean rounds a ratio may rest on; with fewer, all rounds
            are used and the ratio is marked noisy.
    """

    fma_drop: float = 0.05
    copy_drop: float = 0.15
    steal: float = 0.02
    foreign: float = 0.05
    switches: tuple[float, float] = (2.0, 20.0)
    least_kept: int = 5


@dataclass
class Sample:
    """One turn: `work` units (samples trained, calls, flops) in `seconds`."""

    name: str
    round: int
    seconds: float
    work: float
    fma: tuple[float, float]
    copy: tuple[float, float]
    steal: float = 0.0
    foreign: float = 0.0
    switches: int = 0
    losses: tuple[float, ...] = ()
    dropped: list[str] = field(default_factory=list)

    @property
    def cost(self) -> float:
        """Seconds per unit of work."""
        return self.seconds / self.work


@dataclass(frozen=True)
class Ratio:
    """Cost of `peer` over cost of `ours`: above 1, ours is faster."""

    median: float
    low: float
    high: float
    kept: int
    rounds: int
    noisy: bool


def rotate(names: Sequence[str], round_: int) -> list[str]:
    """Order of a round: everyone goes first once before anyone does twice."""
    start = round_ % len(names)
    return [*names[start:], *names[:start]]


def until_stable(
    run: Callable[[], float], within: float = 0.02, most: int = 10
) -> list[float]:
    """Call `run` until its last three costs agree within `within`, at most `most`
    times; the costs. The caller sees from their number whether they settled."""
    costs: list[float] = []
    while len(costs) < most:
        costs.append(run())
        last = costs[-3:]
        if len(last) == 3 and max(last) - min(last) <= within * min(last):
            break
    return costs


def units_for(target_seconds: float, seconds_per_unit: float, most: int) -> int:
    """Whole units (epochs, calls) that fill a turn of `target_seconds`, at least 1."""
    return int(np.clip(round(target_seconds / max(seconds_per_unit, 1e-9)), 1, most))


def run_rounds(
    names: Sequence[str],
    rounds: int,
    turn: Callable[[str, int], Sample],
    say: Callable[[str], None] = lambda line: None,
) -> list[Sample]:
    """ABAB... with rotating order; `turn(name, round)` makes one sample."""
    samples: list[Sample] = []
    for round_ in range(rounds):
        samples += [turn(name, round_) for name in rotate(names, round_)]
        say(f"round {round_ + 1}/{rounds}")
    return samples


def judge(samples: Sequence[Sample], limits: Limits) -> None:
    """Write into every sample why it is not to be trusted (nothing when it is)."""
    fma_top = float(np.quantile([v for s in samples for v in s.fma], 0.75))
    copy_top = float(np.quantile([v for s in samples for v in s.copy], 0.75))
    usual: dict[str, float] = {}
    for name in {s.name for s in samples}:
        rates = [s.switches / s.seconds for s in samples if s.name == name]
        usual[name] = float(np.median(rates))
    factor, always = limits.switches
    for s in samples:
        reasons = {
            "fma": min(s.fma) < (1 - limits.fma_drop) * fma_top,
            "copy": min(s.copy) < (1 - limits.copy_drop) * copy_top,
            "steal": s.steal > limits.steal,
            "foreign": s.foreign > limits.foreign,
            "switches": s.switches / s.seconds > factor * usual[s.name] + always,
        }
        s.dropped = [reason for reason, bad in reasons.items() if bad]


def bootstrap_median(
    values: Sequence[float], draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the median by resampling."""
    data = np.asarray(values, float)
    rng = np.random.default_rng(seed)
    medians = np.median(rng.choice(data, (draws, len(data))), axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def paired_ratio(
    samples: Sequence[Sample], ours: str, peer: str, limits: Limits
) -> Ratio:
    """Median over rounds of cost(peer) / cost(ours), clean rounds only."""
    by_round: dict[int, dict[str, Sample]] = {}
    for s in samples:
        by_round.setdefault(s.round, {})[s.name] = s
    pairs = [(r[ours], r[peer]) for r in by_round.values() if ours in r and peer in r]
    if not pairs:
        raise ValueError(f"[paired_ratio] no round has both {ours!r} and {peer!r}.")
    clean = [(a, b) for a, b in pairs if not a.dropped and not b.dropped]
    noisy = len(clean) < min(limits.least_kept, len(pairs))
    used = pairs if noisy else clean
    ratios = [b.cost / a.cost for a, b in used]
    low, high = bootstrap_median(ratios)
    return Ratio(float(np.median(ratios)), low, high, len(clean), len(pairs), noisy)


def summary(samples: Sequence[Sample], name: str) -> dict[str, float]:
    """Cost of one framework: median of its clean turns (all, when none is), and the
    least of all its turns."""
    own = [s for s in samples if s.name == name]
    clean = [s.cost for s in own if not s.dropped] or [s.cost for s in own]
    return {
        "median": float(np.median(clean)),
        "min": min(s.cost for s in own),
        "kept": sum(not s.dropped for s in own),
        "turns": len(own),
    }


def compare_losses(
    got: dict[str, Any], expected: dict[str, Any], steps_rtol: float, epoch_rtol: float
) -> dict[str, Any]:
    """Do the losses agree? No time is believed before this says yes.

    Args:
        got, expected: `steps` (loss of each of the first steps) and `epoch` (mean loss
            of the first epoch in order), as `Worker.check` gives them. `masked`, where
            it is, is the first step's loss with Dropout, which must not be the one
            without.

    Returns:
        Worst relative differences and `ok`.
    """
    a, b = np.asarray(got["steps"]), np.asarray(expected["steps"])
    steps = float(np.max(np.abs(a - b) / np.abs(b))) if a.shape == b.shape else np.inf
    epoch = abs(got["epoch"] - expected["epoch"]) / abs(expected["epoch"])
    ok = bool(steps <= steps_rtol and epoch <= epoch_rtol)
    if "masked" in got:
        (masked,) = got["masked"]
        # Untrained, a mask moves the loss little (5e-4 for torch's first on cnn32), but
        # a thousand times more than rounding does in the first step.
        ok = ok and bool(abs(masked - b[0]) > 1e-5 * abs(b[0]))
    return {"steps": steps, "epoch": float(epoch), "ok": ok}


def to_json(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [asdict(s) for s in samples]


def from_json(rows: Sequence[dict[str, Any]]) -> list[Sample]:
    return [
        Sample(
            **{
                k: tuple(v) if k in ("fma", "copy", "losses") else v
                for k, v in r.items()
            }
        )
        for r in rows
    ]
