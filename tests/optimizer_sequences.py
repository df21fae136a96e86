# SPDX-License-Identifier: Apache-2.0
"""Optimizers whose 20 steps are recorded from Keras, and what they step on.

tools/record_keras_optimizers.py runs the table in Keras, test_optimizer_sequences.py in
fastnn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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


def flat(arrays: list[Any]) -> np.ndarray:
    """All values of arrays, one after the other, in float64."""
    return np.concatenate([np.ravel(a).astype("float64") for a in arrays] or [[]])


def _by_path(o: Any) -> Any:
    paths = {".*bias": o.SGD(0.1, momentum=0.9), "kernel": o.Adam(0.05)}
    return o.MultiOptimizer(o.OptimizerMap(o.RMSprop(0.02), paths))


def _falling(o: Any) -> Any:
    return o.schedules.InverseTimeDecay(0.1, 4, 0.5, staircase=True)


# Class -> rows of its own options; the first has the learning rate alone.
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "momentum": 0.9},
        {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True},
    ],
    "RMSprop": [
        {"learning_rate": 0.02},
        {"learning_rate": 0.02, "rho": 0.8, "momentum": 0.7, "epsilon": 1e-3},
        {"learning_rate": 0.02, "centered": True, "momentum": 0.5},
    ],
    "Adam": [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "amsgrad": True, "beta_1": 0.8, "beta_2": 0.9},
    ],
    "AdamW": [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "weight_decay": 0.1, "amsgrad": True, "epsilon": 0.01},
    ],
    "Adamax": [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.8, "epsilon": 0.01},
    ],
    "Nadam": [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "beta_1": 0.7, "beta_2": 0.8, "epsilon": 0.01},
    ],
    "Adagrad": [
        {"learning_rate": 0.1},
        {"learning_rate": 0.1, "initial_accumulator_value": 0.5, "epsilon": 0.01},
    ],
    "Adadelta": [
        {"learning_rate": 1.0},
        {"learning_rate": 1.0, "rho": 0.8, "epsilon": 0.01},
    ],
    "Adafactor": [
        {"learning_rate": 0.05},
        {
            "learning_rate": 0.3,
            "beta_2_decay": -0.6,
            "epsilon_2": 0.1,
            "clip_threshold": 0.5,
            "weight_decay": 0.01,
        },
        {"learning_rate": 0.05, "relative_step": False},
    ],
    "Ftrl": [
        {"learning_rate": 0.1},
        {
            "learning_rate": 0.1,
            "learning_rate_power": -0.7,
            "initial_accumulator_value": 0.2,
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
            "beta": 0.1,
        },
    ],
    "Lion": [
        {"learning_rate": 0.01},
        {"learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.8},
    ],
    "Lamb": [
        {"learning_rate": 0.05},
        {"learning_rate": 0.05, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.01},
    ],
    "Muon": [
        {"learning_rate": 0.05},
        {
            "learning_rate": 0.05,
            "nesterov": False,
            "momentum": 0.8,
            "ns_steps": 3,
            "rms_rate": None,
            "adam_lr_ratio": 0.5,
            "adam_weight_decay": 0.1,
            "weight_decay": 0.02,
        },
        {"learning_rate": 0.05, "exclude_layers": ["kernel"]},
    ],
    "ScheduleFreeAdamW": [
        {"learning_rate": 0.05},
        {
            "learning_rate": 0.1,
            "beta_1": 0.8,
            "beta_2": 0.9,
            "warmup_steps": 4,
            "clipnorm": 0.5,
        },
    ],
}
# What every optimizer takes.
COMMON: dict[str, dict[str, Any]] = {
    "clipnorm": {"clipnorm": 0.5},
    "global_clipnorm": {"global_clipnorm": 0.7},
    "clipvalue": {"clipvalue": 0.3},
    "weight_decay": {"weight_decay": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "ema_overwrite": {
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 6,
    },
    "accumulation": {"gradient_accumulation_steps": 3},
    "loss_scale_factor": {"loss_scale_factor": 4.0},
    "schedule": {"learning_rate": _falling},
    "several": {
        "clipnorm": 0.5,
        "weight_decay": 0.05,
        "use_ema": True,
        "gradient_accumulation_steps": 2,
        "learning_rate": _falling,
    },
}


class Sequence(NamedTuple):
    """An optimizer whose steps are recorded.

    Attributes:
        make: the optimizer, from the module `keras.optimizers` or `fastnn.optimizers`.
        overflow: whether some gradients are infinite.
        steps: those after which weights are recorded.
    """

    make: Callable[[Any], Any]
    overflow: bool = False
    steps: range = range(1, STEPS + 1)


def _row(name: str, options: dict[str, Any]) -> Sequence:
    def make(o: Any) -> Any:
        made = {k: v(o) if callable(v) else v for k, v in options.items()}
        return getattr(o, name)(**made)

    return Sequence(make)


def _sequences() -> dict[str, Sequence]:
    found = {}
    for name, rows in OPTIONS.items():
        for i, options in enumerate(rows):
            found[f"{name}-{i}"] = _row(name, options)
        for common, options in COMMON.items():
            row = _row(name, {**rows[0], **options})
            found[f"{name}-{common}"] = row._replace(steps=range(5, STEPS + 1, 5))
    return found


SEQUENCES = {
    **_sequences(),
    "LossScaleOptimizer": Sequence(
        lambda o: o.LossScaleOptimizer(o.Adam(0.05), 64.0, dynamic_growth_steps=4),
        True,
    ),
    "LossScaleOptimizer-sgd": Sequence(
        lambda o: o.LossScaleOptimizer(
            o.SGD(0.1, momentum=0.9, gradient_accumulation_steps=2), 8.0
        ),
        True,
    ),
    "MultiOptimizer": Sequence(_by_path),
}
