# SPDX-License-Identifier: Apache-2.0
"""Regularizers and constraints against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import constraints, regularizers

W = np.random.default_rng(0).normal(size=(4, 5)) * 2
NORMS = np.sqrt((W**2).sum(0, keepdims=True))


def cosines(w):
    unit = w / np.linalg.norm(w, axis=1, keepdims=True)
    gram = np.abs(unit @ unit.T)
    pairs = len(w) * (len(w) - 1) / 2
    return np.triu(gram, 1).sum() / pairs


PENALTIES = [
    (regularizers.L1(0.1), 0.1 * np.abs(W).sum()),
    (regularizers.l2(0.1), 0.1 * (W**2).sum()),
    (regularizers.L1L2(0.1, 0.2), 0.1 * np.abs(W).sum() + 0.2 * (W**2).sum()),
    (regularizers.l1_l2(l1=0.1), 0.1 * np.abs(W).sum()),
    (regularizers.L1L2(), 0.0),
    (regularizers.get("l2"), 0.01 * (W**2).sum()),
    (regularizers.OrthogonalRegularizer(0.1), 0.1 * cosines(W)),
    (regularizers.OrthogonalRegularizer(0.1, "columns"), 0.1 * cosines(W.T)),
]
PROJECTIONS = [
    (constraints.MaxNorm(2), W * np.minimum(NORMS, 2) / NORMS),
    (constraints.max_norm(0.5, axis=[0, 1]), W * 0.5 / np.sqrt((W**2).sum())),
    (constraints.NonNeg(), np.maximum(W, 0)),
    (constraints.nonneg(), np.maximum(W, 0)),
    (constraints.UnitNorm(), W / NORMS),
    (
        constraints.MinMaxNorm(0.5, 1.0, rate=0.3),
        W * (0.3 * np.clip(NORMS, 0.5, 1) + 0.7 * NORMS) / NORMS,
    ),
]


def untested(module, cases, base):
    classes = {c for c in module._TABLE.values() if isinstance(c, type)}
    return {c.__name__ for c in classes - {type(case) for case, _ in cases}} - {base}


def test_none_is_forgotten():
    assert untested(regularizers, PENALTIES, "Regularizer") == set()
    assert untested(constraints, PROJECTIONS, "Constraint") == set()


@pytest.mark.feature("1C-40")
@pytest.mark.parametrize(("penalty", "expected"), PENALTIES)
def test_penalties(penalty, expected):
    value = penalty(W.astype("float32"))
    assert value.shape == ()
    np.testing.assert_allclose(value.numpy(), expected, rtol=2e-6)


@pytest.mark.feature("1C-46", "4H-91")
@pytest.mark.parametrize(("projection", "expected"), PROJECTIONS)
def test_projections(projection, expected):
    np.testing.assert_allclose(
        projection(W.astype("float32")).numpy(), expected, rtol=2e-6, atol=1e-6
    )


@pytest.mark.parametrize("factor", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("cls", [regularizers.L1, regularizers.L2])
def test_wrong_factors(cls, factor):
    with pytest.raises(ValueError, match="finite number"):
        cls(factor)


@pytest.mark.feature("4G-77")
def test_user_subclasses():
    class Spread(regularizers.Regularizer):
        def __call__(self, x):
            return x.max() - x.min()

    assert regularizers.get(Spread())(W) == W.max() - W.min()
    with pytest.raises(NotImplementedError, match="cannot be saved"):
        Spread().get_config()

    class Halve(constraints.Constraint):
        def __call__(self, w):
            return w / 2

    np.testing.assert_array_equal(constraints.get(Halve)(W), W / 2)
