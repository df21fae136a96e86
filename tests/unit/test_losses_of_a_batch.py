# SPDX-License-Identifier: Apache-2.0
"""Losses that have one value for a whole batch: how weights and masks count."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import convert_to_tensor, losses

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("cls", [losses.Dice, losses.Tversky])
def test_the_one_value_of_a_batch_is_weighted_by_the_mean_weight(cls) -> None:
    """Keras's rule: the value stands at every place of the weights, or of the mask."""
    weights, mask = np.array([0.5, 2.0, 0.0], "float32"), np.eye(3, dtype=bool)
    y, p = (RNG.random((3, 3)).astype("float32") for _ in range(2))
    alone = float(cls()(y, p))
    assert float(cls()(y, p, weights)) == pytest.approx(alone * weights.mean())
    total = float(cls(reduction="sum")(y, p, weights))
    assert total == pytest.approx(alone * weights.sum())
    places = cls(reduction=None)(y, p, weights)
    np.testing.assert_allclose(places, alone * weights, 1e-6)
    masked = convert_to_tensor(p)
    masked._keras_mask = convert_to_tensor(mask)
    assert float(cls()(y, masked)) == pytest.approx(alone)
    total = float(cls(reduction="sum")(y, masked))
    assert total == pytest.approx(alone * 3)
