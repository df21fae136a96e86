# SPDX-License-Identifier: Apache-2.0
"""Activations, regularizers, constraints, initializers and schedules with options.

Rows like those of part_cases.py, for the same recording and test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from part_cases import _numpy, _rng

X = np.concatenate(
    [
        _rng(0).random((4, 6)) * 8 - 4,
        [
            [-1e3, -30, -6, -3, -1, -0.5],
            [-1e-5, 0, 1e-5, 0.5, 1, 3],
            [6, 7, 30, 1e3, 2, 4],
        ],
    ]
).astype("float32")
W = (_rng(1).random((3, 2, 4, 5)) * 4 - 2).astype("float32")
W[..., 0] = 0
MATRIX = W[0, 0]

Options = dict[str, Any]
ACTIVATIONS: dict[str, list[Options]] = {
    "celu": [{}, {"alpha": 0.5}],
    "elu": [{}, {"alpha": 0.5}],
    "exponential": [{}],
    "gelu": [{}, {"approximate": True}],
    "glu": [{}, {"axis": 1}],
    "hard_shrink": [{}, {"threshold": 1.5}],
    "hard_sigmoid": [{}],
    "hard_silu": [{}],
    "hard_swish": [{}],
    "hard_tanh": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.05}],
    "linear": [{}],
    "log_sigmoid": [{}],
    "log_softmax": [{}, {"axis": 0}],
    "mish": [{}],
    "relu": [{}, {"negative_slope": 0.1, "max_value": 2.5, "threshold": 0.5}],
    "relu6": [{}],
    "selu": [{}],
    "sigmoid": [{}],
    "silu": [{}],
    "soft_shrink": [{}, {"threshold": 1.5}],
    "softmax": [{}, {"axis": 0}],
    "softplus": [{}],
    "softsign": [{}],
    "sparse_plus": [{}],
    "sparse_sigmoid": [{}],
    "squareplus": [{}, {"b": 2}],
    "swish": [{}],
    "tanh": [{}],
    "tanh_shrink": [{}],
    "threshold": [{"threshold": 0.5, "default_value": -2.0}],
}
REGULARIZERS: dict[str, list[Options]] = {
    "L1": [{}, {"l1": 0.3}],
    "L2": [{}, {"l2": 0.3}],
    "L1L2": [{}, {"l1": 0.2, "l2": 0.3}],
    "OrthogonalRegularizer": [{}, {"factor": 0.2, "mode": "columns"}],
}
CONSTRAINTS: dict[str, list[Options]] = {
    "MaxNorm": [{}, {"max_value": 0.5, "axis": [0, 1, 2]}],
    "MinMaxNorm": [
        {},
        {"min_value": 1.0, "max_value": 2.0, "rate": 0.3, "axis": [0, 1, 2]},
    ],
    "NonNeg": [{}],
    "UnitNorm": [{}, {"axis": [0, 1, 2]}, {"axis": -1}],
}
# Class -> rows: shape, options
FIXED: dict[str, list[tuple[tuple[int, ...], Options]]] = {
    "Constant": [((2, 3), {}), ((2, 3), {"value": 1.5})],
    "Identity": [((3, 3), {}), ((2, 4), {"gain": 2.0}), ((4, 2), {"gain": 0.5})],
    "Ones": [((2, 3), {})],
    "STFT": [
        ((8, 1, 5), {}),
        ((8, 1, 9), {"side": "imag", "window": "hamming", "scaling": "spectrum"}),
        ((7, 1, 5), {"window": None, "periodic": True}),
    ],
    "Zeros": [((2, 3), {})],
}
_SHAPES = ((120, 80), (3, 3, 24, 40), (9000,))
RANDOM: dict[str, list[Options]] = {
    "GlorotNormal": [{}],
    "GlorotUniform": [{}],
    "HeNormal": [{}],
    "HeUniform": [{}],
    "LecunNormal": [{}],
    "LecunUniform": [{}],
    "Orthogonal": [{}, {"gain": 2.0}],
    "RandomNormal": [{}, {"mean": 1.0, "stddev": 0.5}],
    "RandomUniform": [{}, {"minval": 0.5, "maxval": 2.0}],
    "TruncatedNormal": [{}, {"mean": -1.0, "stddev": 0.5}],
    "VarianceScaling": [
        {"scale": scale, "mode": mode, "distribution": distribution}
        for scale in (0.5, 2.0)
        for mode in ("fan_in", "fan_out", "fan_avg")
        for distribution in ("truncated_normal", "untruncated_normal", "uniform")
    ],
}
_STEPS = [*range(26), 39, 40, 41, 60, 100, 1000]
SCHEDULES: dict[str, list[Options]] = {
    "CosineDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 20},
        {"initial_learning_rate": 0.1, "decay_steps": 15, "alpha": 0.2},
        {
            "initial_learning_rate": 0.01,
            "decay_steps": 15,
            "alpha": 0.1,
            "warmup_target": 0.1,
            "warmup_steps": 5,
        },
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 10,
            "warmup_target": 0.1,
            "warmup_steps": 10,
        },
    ],
    "CosineDecayRestarts": [
        {"initial_learning_rate": 0.1, "first_decay_steps": 7},
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 5,
            "t_mul": 1.0,
            "m_mul": 0.8,
            "alpha": 0.1,
        },
        {
            "initial_learning_rate": 0.1,
            "first_decay_steps": 7,
            "t_mul": 1.6,
            "m_mul": 1.2,
        },
    ],
    "ExponentialDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 7,
            "decay_rate": 0.9,
            "staircase": True,
        },
        {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 1.0},
    ],
    "InverseTimeDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 7,
            "decay_rate": 2.0,
            "staircase": True,
        },
    ],
    "PiecewiseConstantDecay": [
        {"boundaries": [5, 12, 20], "values": [0.1, 0.05, 0.02, 0.01]},
        {"boundaries": [0], "values": [1.0, 0.5]},
        {"boundaries": [3.5, 9.5], "values": [1.0, 0.5, 0.25]},
    ],
    "PolynomialDecay": [
        {"initial_learning_rate": 0.1, "decay_steps": 15},
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 15,
            "end_learning_rate": 0.01,
            "power": 2.0,
        },
        {
            "initial_learning_rate": 0.1,
            "decay_steps": 9,
            "end_learning_rate": 0.01,
            "power": 0.5,
            "cycle": True,
        },
    ],
}


def _activation(lib: Any, name: str, options: Options) -> list[Any]:
    x = lib.ops.convert_to_tensor(X)
    return [_numpy(lib, getattr(lib.activations, name)(x, **options))]


def _regularizer(lib: Any, name: str, options: Options) -> list[Any]:
    arrays = [MATRIX] if name == "OrthogonalRegularizer" else [MATRIX, W]
    penalty = getattr(lib.regularizers, name)(**options)
    return [_numpy(lib, penalty(lib.ops.convert_to_tensor(a))) for a in arrays]


def _constraint(lib: Any, name: str, options: Options) -> list[Any]:
    project = getattr(lib.constraints, name)(**options)
    return [_numpy(lib, project(lib.ops.convert_to_tensor(W)))]


def _fixed(lib: Any, name: str, shape: Any, options: Options) -> list[Any]:
    return [_numpy(lib, getattr(lib.initializers, name)(**options)(shape))]


def _random(lib: Any, name: str, options: Options) -> list[Any]:
    """Mean, deviation and largest distance from the mean, for three shapes."""
    found = []
    for shape in _SHAPES:
        if name == "Orthogonal" and len(shape) == 1:
            continue
        drawn = getattr(lib.initializers, name)(seed=1, **options)(shape)
        x = _numpy(lib, drawn)
        found.append(np.array([x.mean(), x.std(), np.abs(x - x.mean()).max()]))
    return found


def _schedule(lib: Any, name: str, options: Options) -> list[Any]:
    schedule = getattr(lib.optimizers.schedules, name)(**options)
    return [np.array([_numpy(lib, schedule(n)) for n in _STEPS])]


def rows() -> dict[str, Callable[[Any], list[Any]]]:
    """Name of a row -> what it computes with the module `keras` or `fastnn.keras`."""
    found: dict[str, Callable[[Any], list[Any]]] = {}
    for kind, table, values in (
        ("activation", ACTIVATIONS, _activation),
        ("regularizer", REGULARIZERS, _regularizer),
        ("constraint", CONSTRAINTS, _constraint),
        ("initializer", FIXED, _fixed),
        ("random", RANDOM, _random),
        ("schedule", SCHEDULES, _schedule),
    ):
        for name, each in table.items():
            for i, options in enumerate(each):
                given = (name, *(options if isinstance(options, tuple) else [options]))
                found[f"{kind}/{name}-{i}"] = lambda lib, v=values, g=given: v(lib, *g)
    return found
