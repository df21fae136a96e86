# SPDX-License-Identifier: Apache-2.0
"""Losses, metrics and small functions against numbers recorded from Keras.

The golden file is written by tools/record_keras_parts.py.
"""

from __future__ import annotations

from pathlib import Path

import function_cases
import numpy as np
import part_cases
import pytest

from fastnn import keras
from fastnn.serialization import exported

GOLDEN = np.load(Path(__file__).parent / "golden" / "keras_parts.npz")
ROWS = {**part_cases.rows(), **function_cases.rows()}
DRAWN = {name for name in ROWS if name.startswith("random/")}
# Differences of large numbers in float32.
COARSE = {"activation/squareplus": 1e-4, "metric/R2Score": 2e-5}

# Module -> kinds of rows, and names that no row can have.
MODULES = {
    "keras.losses": (("loss", "function"), {"Loss", "LossFunctionWrapper"}),
    "keras.metrics": (("metric", "function"), {"Metric", "MeanMetricWrapper"}),
    # Keras 3.15 makes rows that add up to 0 or 1.5; the formula is in test_activations.
    "keras.activations": (("activation",), {"sparsemax"}),
    "keras.regularizers": (("regularizer",), {"Regularizer"}),
    "keras.constraints": (("constraint",), {"Constraint"}),
    "keras.initializers": (("initializer", "random"), {"Initializer"}),
    # OneCycle is fastnn's own.
    "keras.optimizers.schedules": (("schedule",), {"LearningRateSchedule", "OneCycle"}),
}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_recorded(module: str) -> None:
    kinds, without = MODULES[module]
    recorded = {
        row.split("/")[1].rsplit("-")[0] for row in ROWS if row.startswith(kinds)
    }
    table = exported(module)
    own = {getattr(value, "__name__", name) for name, value in table.items()}
    assert own - recorded - without == set()


def test_the_file_has_these_rows() -> None:
    assert set(GOLDEN.files) == set(ROWS)


@pytest.mark.parametrize("name", sorted(set(ROWS) - DRAWN))
def test_values(name: str) -> None:
    got = np.concatenate([np.ravel(v) for v in ROWS[name](keras)])
    tol = COARSE.get(name.split("-")[0], 2e-6)
    np.testing.assert_allclose(got, GOLDEN[name], tol, tol)


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_moments_and_bounds(name: str) -> None:
    """Means and deviations of 8,640 numbers or more; bounds where they are sharp."""
    got = np.concatenate(ROWS[name](keras)).reshape(-1, 3)
    wanted = GOLDEN[name].reshape(-1, 3).astype("float64")
    np.testing.assert_allclose(got[:, 1], wanted[:, 1], rtol=0.04)
    assert (np.abs(got[:, 0] - wanted[:, 0]) < 0.06 * wanted[:, 1]).all()
    if not any(word in name for word in ("RandomNormal", "Orthogonal")):
        sharp = wanted[:, 2] < 2.5 * wanted[:, 1]
        np.testing.assert_allclose(got[sharp, 2], wanted[sharp, 2], rtol=0.06)
