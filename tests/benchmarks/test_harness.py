# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own arithmetic, on invented machines: no framework is needed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2]))

from benchmarks import harness
from benchmarks.harness import Limits, Sample

LIMITS = Limits()


def sample(name: str, round_: int, seconds: float, **changes: object) -> Sample:
    values = {"work": 1.0, "fma": (100.0, 100.0), "copy": (10.0, 10.0)} | changes
    return Sample(name, round_, seconds, **values)


def machine(rounds: int, ratio: float, drift: float = 0.0) -> list[Sample]:
    """`b` costs `ratio` times `a`, on a machine that slows by `drift` per round."""
    rng = np.random.default_rng(0)
    samples = []
    for r in range(rounds):
        speed = (1 + drift) ** r
        noise = 1 + 0.01 * rng.normal(size=2)
        samples.append(sample("a", r, speed * noise[0]))
        samples.append(sample("b", r, ratio * speed * noise[1]))
    return samples


def test_ratio_ignores_drift_that_medians_would_show():
    result = harness.paired_ratio(machine(15, 2.0, drift=0.3), "a", "b", LIMITS)
    assert result.low < 2.0 < result.high
    assert result.high - result.low < 0.05
    assert (result.kept, result.rounds, result.noisy) == (15, 15, False)


def test_ratio_is_per_unit_of_work():
    samples = [sample("a", r, 1.0, work=10.0) for r in range(5)]
    samples += [sample("b", r, 1.0, work=5.0) for r in range(5)]
    assert harness.paired_ratio(samples, "a", "b", LIMITS).median == pytest.approx(2.0)


def test_ratio_needs_a_common_round():
    samples = [sample("a", 0, 1.0), sample("b", 1, 1.0)]
    with pytest.raises(ValueError, match="no round has both 'a' and 'b'"):
        harness.paired_ratio(samples, "a", "b", LIMITS)


def test_bootstrap_interval_holds_the_median_and_widens_with_spread():
    rng = np.random.default_rng(1)
    narrow, wide = 1 + 0.01 * rng.normal(size=15), 1 + 0.2 * rng.normal(size=15)
    spans = []
    for values in (narrow, wide):
        low, high = harness.bootstrap_median(values)
        assert low <= np.median(values) <= high
        spans.append(high - low)
    assert spans[1] > 5 * spans[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fma": (100.0, 94.0)}, "fma"),
        ({"copy": (8.0, 10.0)}, "copy"),
        ({"steal": 0.03}, "steal"),
        ({"foreign": 0.1}, "foreign"),
        ({"switches": 5000}, "switches"),
    ],
)
def test_a_disturbed_turn_is_dropped_and_says_why(changes, reason):
    samples = machine(10, 2.0)
    disturbed = sample("b", 10, 50.0, **changes)
    samples += [sample("a", 10, 1.0), disturbed]
    harness.judge(samples, LIMITS)
    assert disturbed.dropped == [reason]
    assert not any(s.dropped for s in samples if s is not disturbed)
    result = harness.paired_ratio(samples, "a", "b", LIMITS)
    assert (result.kept, result.rounds) == (10, 11)
    assert result.high < 2.1


def test_a_framework_that_always_switches_is_not_punished_for_it():
    samples = machine(10, 2.0)
    for s in samples:
        s.switches = 400 if s.name == "b" else 0
    harness.judge(samples, LIMITS)
    assert not any(s.dropped for s in samples)


def test_never_drops_everything_in_silence():
    samples = machine(15, 2.0)
    for s in samples:
        s.steal = 0.0 if s.round < 3 else 0.5
    harness.judge(samples, LIMITS)
    result = harness.paired_ratio(samples, "a", "b", LIMITS)
    assert (result.kept, result.rounds, result.noisy) == (3, 15, True)
    assert result.median == pytest.approx(2.0, rel=0.02)
    assert harness.summary(samples, "a")["kept"] == 3
    for s in samples:
        s.dropped = ["steal"]
    assert harness.summary(samples, "a")["median"] == pytest.approx(1.0, rel=0.02)


def test_order_rotates_and_every_round_has_everyone():
    orders = []

    def turn(name: str, round_: int) -> Sample:
        orders.append((round_, name))
        return sample(name, round_, 1.0)

    harness.run_rounds(["a", "b", "c"], 4, turn)
    by_round = [[n for r, n in orders if r == k] for k in range(4)]
    assert by_round == [list("abc"), list("bca"), list("cab"), list("abc")]


def test_warm_up_ends_when_three_agree_and_is_bounded():
    costs = iter([9.0, 3.0, 1.01, 1.0, 1.0, 1.0])
    assert harness.until_stable(lambda: next(costs)) == [9.0, 3.0, 1.01, 1.0, 1.0]
    endless = iter(range(1, 100))
    assert len(harness.until_stable(lambda: 2.0 ** next(endless), most=7)) == 7


@pytest.mark.parametrize(
    ("target", "unit", "expected"), [(0.4, 0.1, 4), (0.4, 3.0, 1), (0.4, 1e-12, 50)]
)
def test_units_fill_a_turn(target, unit, expected):
    assert harness.units_for(target, unit, most=50) == expected


def test_losses_are_compared_before_times():
    expected = {"steps": [2.0, 1.0], "epoch": 0.5}
    close = {"steps": [2.0, 1.000_001], "epoch": 0.500_1}
    assert harness.compare_losses(close, expected, 1e-5, 1e-3)["ok"]
    other_epsilon = {"steps": [2.0, 1.001], "epoch": 0.5}
    assert not harness.compare_losses(other_epsilon, expected, 1e-5, 1e-3)["ok"]
    other_epoch = {"steps": [2.0, 1.0], "epoch": 0.51}
    assert not harness.compare_losses(other_epoch, expected, 1e-5, 1e-3)["ok"]
    masked = close | {"masked": [2.7]}
    assert harness.compare_losses(masked, expected, 1e-5, 1e-3)["ok"] is True
    no_mask = close | {"masked": [2.0]}
    assert not harness.compare_losses(no_mask, expected, 1e-5, 1e-3)["ok"]
    nan = {"steps": [2.0, float("nan")], "epoch": 0.5}
    assert not harness.compare_losses(nan, expected, 1e-5, 1e-3)["ok"]


def test_samples_survive_json():
    import json

    samples = machine(3, 2.0)
    harness.judge(samples, LIMITS)
    assert (
        harness.from_json(json.loads(json.dumps(harness.to_json(samples)))) == samples
    )
