# SPDX-License-Identifier: Apache-2.0
"""Optimizers whose 20 steps are recorded from Keras, and what they step on.

tools/record_keras_optimizers.py runs the table in Keras, test_optimizer_sequences.py in
fastnn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

STEPS = 20
SHAPES = {"kernel": (3, 4), "bias": (4,), "filters": (2, 3, 2)}


def start() -> dict[str, np.ndarray]:
    """The first weights, by name."""
    rng = np.random.Generator(np.random.PCG64(7))
    return {name: rng.random(shape) * 2 - 1 for name, shape in SHAPES.items()}


def gradients(overflow: bool = False) -> list[list[np.ndarray]]:
    """Gradients of the weights, step by step; those of step 6 and 7 can be infinite."""
    rng = np.random.Generator(np.random.PCG64(8))
    steps = [[rng.random(s) * 2 - 1 for s in SHAPES.values()] for _ in range(STEPS)]
    if overflow:
        steps[5][0][0, 0] = np.inf
        steps[6][1][1] = np.nan
    return steps


def _by_path(o: Any) -> Any:
    paths = {".*bias": o.SGD(0.1, momentum=0.9), "kernel": o.Adam(0.05)}
    return o.MultiOptimizer(o.OptimizerMap(o.RMSprop(0.02), paths))


# Name -> (optimizer made from the module, whether gradients overflow)
SEQUENCES: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "Adafactor": (lambda o: o.Adafactor(0.05), False),
    "Adafactor-options": (
        lambda o: o.Adafactor(
            0.3, beta_2_decay=-0.6, epsilon_2=0.1, clip_threshold=0.5, weight_decay=0.01
        ),
        False,
    ),
    "ScheduleFreeAdamW": (lambda o: o.ScheduleFreeAdamW(0.05), False),
    "ScheduleFreeAdamW-options": (
        lambda o: o.ScheduleFreeAdamW(
            0.1, beta_1=0.8, beta_2=0.9, warmup_steps=4, clipnorm=0.5
        ),
        False,
    ),
    "LossScaleOptimizer": (
        lambda o: o.LossScaleOptimizer(o.Adam(0.05), 64.0, dynamic_growth_steps=4),
        True,
    ),
    "LossScaleOptimizer-sgd": (
        lambda o: o.LossScaleOptimizer(
            o.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2), 8.0
        ),
        True,
    ),
    "MultiOptimizer": (_by_path, False),
}
