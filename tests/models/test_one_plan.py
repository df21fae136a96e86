# SPDX-License-Identifier: Apache-2.0
"""All that training can be told stays in one native plan, with the numbers of eager
steps, and with the same bits on every number of threads."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fastnn import (
    Sequential,
    _core,
    constraints,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
)
from fastnn.optimizers import schedules
from fastnn.utils import set_random_seed

RNG = np.random.default_rng(0)
ROWS, BATCH, CLASSES = 200, 64, 3  # the last batch has 8 rows
X = RNG.normal(size=(ROWS, 40)).astype("f")
LABELS = RNG.integers(0, CLASSES, ROWS)
ONE_HOT = np.eye(CLASSES, dtype="f")[LABELS]


@dataclass
class Case:
    optimizer: Callable[[], Any] = lambda: optimizers.SGD(0.05)
    layer: dict[str, Any] = field(default_factory=dict)
    extra: Callable[[], list[Any]] = list
    compile: Callable[[], dict[str, Any]] = dict
    fit: dict[str, Any] = field(default_factory=dict)
    y: np.ndarray = field(default_factory=lambda: LABELS)
    updates: int = 8


def sgd(**options: Any) -> Callable[[], Any]:
    return lambda: optimizers.SGD(0.05, momentum=0.9, **options)


def adam(**options: Any) -> Callable[[], Any]:
    return lambda: optimizers.Adam(0.002, **options)


CASES = {
    "exponential decay": Case(
        lambda: optimizers.SGD(schedules.ExponentialDecay(0.1, 3, 0.7))
    ),
    "staircase": Case(
        lambda: optimizers.Adam(
            schedules.ExponentialDecay(0.01, 3, 0.5, staircase=True)
        )
    ),
    "cosine decay with warm-up": Case(
        lambda: optimizers.SGD(
            schedules.CosineDecay(0.0, 4, warmup_target=0.1, warmup_steps=3)
        )
    ),
    "piecewise constant": Case(
        lambda: optimizers.SGD(
            schedules.PiecewiseConstantDecay([2, 5], [0.1, 0.02, 0.0])
        )
    ),
    "clipnorm": Case(sgd(clipnorm=0.05)),
    "global clipnorm": Case(adam(global_clipnorm=0.05)),
    "clipvalue": Case(adam(clipvalue=0.001)),
    "weight decay": Case(sgd(weight_decay=0.01)),
    "decoupled weight decay": Case(lambda: optimizers.AdamW(0.002, 0.01)),
    "moving average of weights": Case(sgd(use_ema=True, ema_momentum=0.9)),
    "weights overwritten by averages": Case(
        adam(use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)
    ),
    "gradient accumulation": Case(sgd(gradient_accumulation_steps=3), updates=2),
    "accumulated and clipped": Case(
        adam(gradient_accumulation_steps=2, global_clipnorm=0.05), updates=4
    ),
    "max norm": Case(layer={"kernel_constraint": constraints.MaxNorm(0.9)}),
    "unit norm": Case(adam(), {"kernel_constraint": constraints.UnitNorm()}),
    "non-negative": Case(layer={"kernel_constraint": constraints.NonNeg()}),
    "penalties": Case(
        layer={
            "kernel_regularizer": regularizers.L1L2(0.001, 0.01),
            "bias_regularizer": "l2",
            "activity_regularizer": regularizers.L2(0.001),
        }
    ),
    "batch normalization": Case(adam(), extra=lambda: [layers.BatchNormalization()]),
    "dropout and noise": Case(
        extra=lambda: [layers.Dropout(0.4, seed=1), layers.GaussianNoise(0.1, seed=2)]
    ),
    "metrics of labels": Case(
        compile=lambda: {
            "metrics": [
                "accuracy",
                metrics.SparseTopKCategoricalAccuracy(2, name="top2"),
                metrics.SparseCategoricalCrossentropy(name="ce"),
            ]
        }
    ),
    "metrics of classes": Case(
        compile=lambda: {
            "loss": losses.CategoricalCrossentropy(label_smoothing=0.1),
            "metrics": [
                metrics.AUC(num_thresholds=20, name="auc"),
                metrics.Precision(name="precision"),
                metrics.Recall(name="recall"),
                metrics.F1Score(name="f1_score"),
                metrics.CategoricalAccuracy(name="categorical"),
                metrics.MeanSquaredError(name="mse"),
            ],
            "weighted_metrics": ["accuracy"],
        },
        y=ONE_HOT,
    ),
    "sample weights": Case(
        compile=lambda: {"weighted_metrics": ["accuracy"]},
        fit={"sample_weight": np.linspace(0, 2, ROWS).astype("f")},
    ),
    "class weights": Case(fit={"class_weight": {0: 2.0, 1: 0.5, 2: 1.0}}),
} | {
    name: Case(lambda name=name: optimizers.get(name))
    for name in """adagrad adadelta adam adamax adamw ftrl lion nadam rmsprop
    lamb""".split()
}


def train(case: Case, eagerly: bool = False, threads: int = 1) -> Any:
    before = _core.num_threads()
    _core.set_num_threads(threads)
    try:
        set_random_seed(0)
        model = Sequential([layers.Input((40,))])
        model.add(layers.Dense(160, **case.layer))
        for layer in case.extra():
            model.add(layer)
        model.add(layers.Activation("tanh"))
        model.add(layers.Dense(80, activation="relu", **case.layer))
        model.add(layers.Dense(CLASSES, activation="softmax"))
        settings = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
        settings |= case.compile()
        model.compile(case.optimizer(), **settings, run_eagerly=eagerly)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a fallback to eager steps warns
            model.fit(X, case.y, BATCH, epochs=2, verbose=0, **case.fit)
        assert eagerly or threads == 1 or model.plan().threads() > 1
        return model
    finally:
        _core.set_num_threads(before)


def state_of(model: Any) -> list[np.ndarray]:
    values = [*model.weights, *model.optimizer.variables]
    values += [v for metric in model.metrics for v in metric.variables]
    return [v.numpy() for v in values]


@pytest.mark.parametrize("name", CASES)
def test_the_plan_has_the_numbers_of_eager_steps(name: str) -> None:
    planned, eager = train(CASES[name]), train(CASES[name], eagerly=True)
    assert planned._runners.runner._eager is None
    assert int(planned.optimizer.iterations) == CASES[name].updates
    for key, values in eager.history.history.items():
        np.testing.assert_allclose(planned.history.history[key], values, rtol=1e-4)
    for a, b in zip(state_of(planned), state_of(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_bits_do_not_depend_on_the_threads(name: str) -> None:
    one = [v.tobytes() for v in state_of(train(CASES[name]))]
    for threads in (2, 3):
        many = [v.tobytes() for v in state_of(train(CASES[name], threads=threads))]
        assert many == one, f"{threads} threads"


def test_metrics_of_several_values_are_logged_as_arrays(capsys) -> None:
    case = CASES["metrics of classes"]
    model = train(case)
    (first, last), score = model.history.history["f1_score"], metrics.F1Score()
    assert first.shape == last.shape == (CLASSES,)
    found = model.evaluate(X, ONE_HOT, verbose=1, return_dict=True)["f1_score"]
    score.update_state(ONE_HOT, model.predict(X, verbose=0))
    np.testing.assert_allclose(found, score.result().numpy(), rtol=1e-5)
    for _ in range(2):
        logs = model.test_on_batch(X, ONE_HOT, return_dict=True)
        assert logs["f1_score"].shape == (CLASSES,)
    model.fit(X, ONE_HOT, verbose=2)
    assert "f1_score" in capsys.readouterr().out
