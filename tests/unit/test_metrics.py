# SPDX-License-Identifier: Apache-2.0
"""Every metric: numbers printed in Keras's documentation, NumPy formulas, batches."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import convert_to_tensor, metrics
from fastnn.graph.compile import function
from fastnn.serialization import exported

A = (np.float32([[0, 1], [0, 0]]), np.float32([[1, 1], [0, 0]]))
B = (np.float32([[0, 1], [0, 0]]), np.float32([[0.6, 0.4], [0.4, 0.6]]))
C = (np.float32([[0, 0, 1], [0, 1, 0]]), np.float32([[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
D = (np.float32([[0, 1, 0], [0, 0, 1]]), np.float32([[0.05, 0.95, 0], [0.1, 0.8, 0.1]]))
BIT = (np.float32([0, 1, 1, 1]), np.float32([1, 0, 1, 1]))
BY_CLASS = (
    np.float32([[1, 1, 1], [1, 0, 0], [1, 1, 0]]),
    np.float32([[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]),
)
FIVE = (np.float32([0, 0, 0, 1, 1]), np.float32([0, 0.3, 0.8, 0.3, 0.8]))
CLASSES = (np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))
HOT = (np.eye(3)[[2, 0, 1, 0]], np.eye(3)[[2, 1, 2, 0]])


CLOSE = (
    np.float32([[0, 1, 0.5], [1, 1, 0.2]]),
    np.float32([[0.1, 0.9, 0.5], [1, 0.9, 0.2]]),
)


def pearson(a, b):
    return np.corrcoef(a, b)[0, 1]


def concordance(a, b):
    spread = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return 2 * np.cov(a, b, bias=True)[0, 1] / spread


def sparse(pair):
    return pair[0].argmax(-1), pair[1]


# metric, batch, result, weights, weighted result: as printed in the docstrings of
# Keras 3, where they have an example.
PRINTED = [
    (metrics.Accuracy(), ([[1], [2], [3], [4]], [[0], [2], [3], [4]]), 0.75, None, 0),
    (metrics.Mean(), ([1.0, 3, 5, 7],), 4.0, [1, 1, 0, 0], 2.0),
    (metrics.Sum(), ([1.0, 3, 5, 7],), 16.0, [1, 1, 0, 0], 4.0),
    (
        metrics.BinaryAccuracy(),
        ([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]),
        0.75,
        [1, 0, 0, 1],
        0.5,
    ),
    (metrics.CategoricalAccuracy(), C, 0.5, [0.7, 0.3], 0.3),
    (metrics.SparseCategoricalAccuracy(), sparse(C), 0.5, [0.7, 0.3], 0.3),
    (metrics.TopKCategoricalAccuracy(k=1), C, 0.5, [0.7, 0.3], 0.3),
    (metrics.SparseTopKCategoricalAccuracy(k=1), sparse(C), 0.5, [0.7, 0.3], 0.3),
    (metrics.MeanSquaredError(), A, 0.25, [1, 0], 0.5),
    (metrics.MeanAbsoluteError(), A, 0.25, [1, 0], 0.5),
    (metrics.MeanAbsolutePercentageError(), A, 2.5e8, [1, 0], 5e8),
    (metrics.MeanSquaredLogarithmicError(), A, 0.12011322, [1, 0], 0.24022643),
    (metrics.RootMeanSquaredError(), A, 0.5, [1, 0], 0.70710677),
    (metrics.LogCoshError(), A, 0.10844523, [1, 0], 0.21689045),
    (metrics.Poisson(), A, 0.49999997, [1, 0], 0.99999994),
    (
        metrics.CosineSimilarity(),
        (np.float32([[0, 1], [1, 1]]), np.float32([[1, 0], [1, 1]])),
        0.49999997,
        [0.3, 0.7],
        0.6999999,
    ),
    (metrics.KLDivergence(), B, 0.45814306, [1, 0], 0.9162892),
    (metrics.BinaryCrossentropy(), B, 0.81492424, [1, 0], 0.9162905),
    (metrics.CategoricalCrossentropy(), D, 1.1769392, [0.3, 0.7], 1.6271976),
    (
        metrics.SparseCategoricalCrossentropy(),
        sparse(D),
        1.1769392,
        [0.3, 0.7],
        1.6271976,
    ),
    (metrics.Hinge(), B, 1.3, [1, 0], 1.1),
    (metrics.SquaredHinge(), B, 1.86, [1, 0], 1.46),
    (metrics.CategoricalHinge(), B, 1.4, [1, 0], 1.2),
    (metrics.TruePositives(), BIT, 2.0, [0, 0, 1, 0], 1.0),
    (metrics.TrueNegatives(), ([0, 1, 0, 0], [1.0, 1, 0, 0]), 2.0, [0, 0, 1, 0], 1.0),
    (metrics.FalsePositives(), ([0, 1, 0, 0], [0.0, 0, 1, 1]), 2.0, [0, 0, 1, 0], 1.0),
    (metrics.FalseNegatives(), ([0, 1, 1, 1], [0.0, 1, 0, 0]), 2.0, [0, 0, 1, 0], 1.0),
    (metrics.Precision(), BIT, 0.6666667, [0, 0, 1, 0], 1.0),
    (metrics.Precision(top_k=2), ([0, 0, 1, 1], [1.0, 1, 1, 1]), 0.0, None, 0),
    (
        metrics.Precision(top_k=4),
        ([0, 0, 1, 1, 0, 0, 0, 0], [1.0] * 8),
        0.5,
        None,
        0,
    ),
    (metrics.Recall(), BIT, 0.6666667, [0, 0, 1, 0], 1.0),
    (metrics.SensitivityAtSpecificity(0.5), FIVE, 0.5, [1, 1, 2, 2, 1], 0.3333333),
    (metrics.SpecificityAtSensitivity(0.5), FIVE, 2 / 3, [1, 1, 2, 2, 2], 0.5),
    (metrics.PrecisionAtRecall(0.5), FIVE, 0.5, [2, 2, 2, 1, 1], 1 / 3),
    (
        metrics.RecallAtPrecision(0.8),
        ([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]),
        0.5,
        [1, 0, 0, 1],
        1.0,
    ),
    (
        metrics.AUC(num_thresholds=3),
        ([0, 0, 1, 1], [0, 0.5, 0.3, 0.9]),
        0.75,
        [1, 0, 0, 1],
        1.0,
    ),
    (metrics.F1Score(threshold=0.5), BY_CLASS, [0.5, 0.8, 2 / 3], None, 0),
    (
        metrics.FBetaScore(beta=2.0, threshold=0.5),
        BY_CLASS,
        [0.3846154, 0.90909094, 0.8333334],
        None,
        0,
    ),
    (
        metrics.R2Score(),
        (np.float32([[1], [4], [3]]), np.float32([[2], [4], [4]])),
        0.57142854,
        None,
        0,
    ),
    (metrics.MeanIoU(2), CLASSES, 1 / 3, [0.3, 0.3, 0.3, 0.1], 0.23809525),
    (metrics.IoU(2, [0]), CLASSES, 1 / 3, [0.3, 0.3, 0.3, 0.1], 1 / 3),
    (
        metrics.BinaryIoU([0, 1], threshold=0.3),
        ([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]),
        1 / 3,
        [0.2, 0.3, 0.4, 0.1],
        0.17361107,
    ),
    (metrics.OneHotIoU(3, [0, 2]), HOT, 0.5, None, 0),
    (metrics.OneHotMeanIoU(3), HOT, 1 / 3, None, 0),
    (metrics.PearsonCorrelation(), CLOSE, np.mean([*map(pearson, *CLOSE)]), None, 0),
    (
        metrics.ConcordanceCorrelation(),
        CLOSE,
        np.mean([*map(concordance, *CLOSE)]),
        None,
        0,
    ),
]
IDS = [f"{case[0].name}-{i}" for i, case in enumerate(PRINTED)]


def fresh(metric):
    return type(metric).from_config(metric.get_config())


def test_no_metric_is_forgotten():
    classes = {c for c in exported("keras.metrics").values() if isinstance(c, type)}
    tested = {type(case[0]) for case in PRINTED}
    assert {c.__name__ for c in classes - tested} == {"Metric", "MeanMetricWrapper"}


@pytest.mark.parametrize(
    ("metric", "batch", "value", "weights", "weighted"), PRINTED, ids=IDS
)
def test_printed_values(metric, batch, value, weights, weighted):
    metric = fresh(metric)
    metric.update_state(*batch)
    result = metric.result()
    assert result.dtype == "float32"
    np.testing.assert_allclose(result.numpy(), value, rtol=2e-6)
    metric.reset_state()
    assert not any(v.numpy().any() for v in metric.variables)
    if weights is not None:
        metric.update_state(*batch, sample_weight=weights)
        np.testing.assert_allclose(metric.result().numpy(), weighted, rtol=2e-6)


RNG = np.random.default_rng(0)
N, K = 12, 4
GUESS = (RNG.random((N, K)) * 0.9 + 0.05).astype("float32")
PROBS = GUESS / GUESS.sum(1, keepdims=True)
INDEX = RNG.integers(0, K, N)
ONE_HOT = np.eye(K, dtype="float32")[INDEX]
BITS = RNG.integers(0, 2, (N, K)).astype("float32")
WEIGHTS = RNG.random(N).astype("float32")


def batch_for(metric):
    name = type(metric).__name__
    if name in ("Mean", "Sum"):
        return (GUESS,)
    if name.startswith("Sparse"):
        return INDEX, PROBS
    if name in ("IoU", "MeanIoU"):
        return INDEX, np.roll(INDEX, 1)
    if name.startswith(("Categorical", "TopK", "F1", "FBeta")):
        return ONE_HOT, PROBS
    if name.startswith("OneHot"):
        return ONE_HOT, np.roll(ONE_HOT, 1, axis=0)
    return BITS, GUESS


def ready(metric):
    """A fresh metric that fits four classes."""
    config = metric.get_config()
    if "num_classes" in config:
        config["num_classes"] = K
    return type(metric).from_config(config)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", [case[0] for case in PRINTED], ids=IDS)
def test_batches_add_up_eagerly_and_planned(metric, weighted):
    data = batch_for(metric)
    data = (*data, WEIGHTS) if weighted else data
    if isinstance(metric, metrics.BinaryIoU) and weighted:
        data = (*data[:2], np.repeat(WEIGHTS[:, None], K, 1))
    whole, parts, planned = ready(metric), ready(metric), ready(metric)
    whole.update_state(*data)
    for rows in (slice(0, 6), slice(6, 12)):
        parts.update_state(*(x[rows] for x in data))
    step = function(lambda *batch: planned.update_state(*batch))
    for rows in (slice(0, 6), slice(6, 12)):
        step(*(convert_to_tensor(x[rows]) for x in data))
    expected = whole.result().numpy()
    np.testing.assert_allclose(parts.result().numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(planned.result().numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("metric", [case[0] for case in PRINTED], ids=IDS)
def test_nothing_seen_is_zero(metric):
    with np.errstate(all="ignore"):
        assert not fresh(metric).result().numpy().any()
