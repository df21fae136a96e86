# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import schedules as s

STEPS = [0, 1, 4, 5, 6, 7, 10, 11, 12, 13, 18, 20, 21, 29, 30, 42, 55, 100]


def cosine(t, alpha=0.0):
    return (1 - alpha) * 0.5 * (1 + math.cos(math.pi * t)) + alpha


def polynomial_cycle(n):
    end = 10 * max(1, math.ceil(n / 10))
    return 0.09 * (1 - n / end) ** 2 + 0.01


def restarts(n, first, t_mul, m_mul, alpha):
    length, top = first, 1.0
    while n >= length:
        n, length, top = n - length, length * t_mul, top * m_mul
    return 0.1 * ((1 - alpha) * top * cosine(n / length) + alpha)


def one_cycle(n, top, total, start, last_steps, last):
    half = (total - last_steps) // 2
    return np.interp(n, [0, half, 2 * half, total], [start, top, start, last])


CASES = [
    (s.ExponentialDecay(0.1, 10, 0.5), lambda n: 0.1 * 0.5 ** (n / 10)),
    (s.ExponentialDecay(0.1, 10, 0.5, True), lambda n: 0.1 * 0.5 ** (n // 10)),
    (s.InverseTimeDecay(0.1, 10, 0.5), lambda n: 0.1 / (1 + 0.05 * n)),
    (s.InverseTimeDecay(0.1, 10, 0.5, True), lambda n: 0.1 / (1 + 0.5 * (n // 10))),
    (
        s.PiecewiseConstantDecay([5, 12, 20], [0.1, 0.05, 0.02, 0.01]),
        lambda n: 0.1 if n <= 5 else 0.05 if n <= 12 else 0.02 if n <= 20 else 0.01,
    ),
    (
        s.PolynomialDecay(0.1, 10, 0.01, power=2.0),
        lambda n: 0.09 * (1 - min(n, 10) / 10) ** 2 + 0.01,
    ),
    (s.PolynomialDecay(0.1, 10, 0.01, power=2.0, cycle=True), polynomial_cycle),
    (s.CosineDecay(0.1, 20, 0.1), lambda n: 0.1 * cosine(min(n, 20) / 20, 0.1)),
    (
        s.CosineDecay(0.01, 20, 0.1, warmup_target=0.1, warmup_steps=5),
        lambda n: (
            0.01 + 0.09 * n / 5 if n < 5 else 0.1 * cosine(min(n - 5, 20) / 20, 0.1)
        ),
    ),
    (s.CosineDecayRestarts(0.1, 6), lambda n: restarts(n, 6, 2.0, 1.0, 0.0)),
    (
        s.CosineDecayRestarts(0.1, 6, 1.0, 0.9, 0.1),
        lambda n: restarts(n, 6, 1.0, 0.9, 0.1),
    ),
    (
        s.CosineDecayRestarts(0.1, 8, 1.5, 0.8, 0.1),
        lambda n: restarts(n, 8, 1.5, 0.8, 0.1),
    ),
    (s.OneCycle(0.1, 20), lambda n: one_cycle(n, 0.1, 20, 0.01, 3, 1e-5)),
    (
        s.OneCycle(0.5, 17, 0.2, 5, 0.01),
        lambda n: one_cycle(n, 0.5, 17, 0.2, 5, 0.01),
    ),
]


def test_no_schedule_is_forgotten():
    tested = {type(schedule) for schedule, _ in CASES}
    assert set(s._TABLE.values()) - tested == {s.LearningRateSchedule}


@pytest.mark.feature("1C-34")
@pytest.mark.parametrize(("schedule", "formula"), CASES)
def test_values(schedule, formula):
    rates = [schedule(n) for n in STEPS]
    assert {r.dtype for r in rates} == {"float32"}
    expected = [formula(n) for n in STEPS]
    np.testing.assert_allclose([r.numpy() for r in rates], expected, rtol=1e-6)


def test_rates_far_beyond_float32_counting():
    late = 2**24 + 1  # float32 rounds it to 2**24
    schedule = s.PiecewiseConstantDecay([2**24], [1.0, 0.5])
    assert float(schedule(np.int64(late - 1))) == 1.0
    assert float(schedule(np.int64(late))) == 0.5


@pytest.mark.feature("1C-33")
def test_power_scheduling_of_the_old_decay():
    # eta0 / (1 + t / s): half after s steps, a third after 2 s, a quarter after 3 s.
    with pytest.warns(FutureWarning, match="InverseTimeDecay"):
        optimizer = optimizers.SGD(0.01, decay=1e-4)
    rate = optimizer._learning_rate
    rates = [float(rate(k * 10_000)) for k in range(4)]
    np.testing.assert_allclose(rates, [0.01, 0.005, 0.01 / 3, 0.0025], rtol=1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda: s.ExponentialDecay(0.1, 0, 0.5),
        lambda: s.InverseTimeDecay(0.1, -1, 0.5),
        lambda: s.PolynomialDecay(0.1, 0),
        lambda: s.CosineDecay(0.1, 0),
        lambda: s.CosineDecayRestarts(0.1, 0),
        lambda: s.PiecewiseConstantDecay([1, 2], [0.1, 0.2]),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ValueError, match=r"must be > 0|one value more"):
        make()


def test_user_schedule():
    class Ramp(s.LearningRateSchedule):
        def __call__(self, step):
            return 0.1 / (step + 1)

    assert Ramp()(1) == 0.05
    with pytest.raises(NotImplementedError, match="get_config"):
        Ramp().get_config()
    with pytest.raises(NotImplementedError, match="__call__"):
        s.LearningRateSchedule()(1)
