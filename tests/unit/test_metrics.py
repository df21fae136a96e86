# SPDX-License-Identifier: Apache-2.0
"""Every metric: numbers printed in Keras's documentation, NumPy formulas, batches."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastnn import convert_to_tensor, losses, metrics
from fastnn.autodiff.tensor import Variable
from fastnn.errors import ShapeError
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


# -- details --------------------------------------------------------------------------


def ranks(scores, labels):
    """Area under the ROC curve as the share of ordered pairs."""
    pairs = [(p, n) for p in scores[labels == 1] for n in scores[labels == 0]]
    return np.mean([(p > n) + 0.5 * (p == n) for p, n in pairs])


def test_auc_is_the_share_of_ordered_pairs():
    labels, scores = BITS.ravel(), GUESS.ravel()
    thresholds = np.unique(scores)
    metric = metrics.AUC(thresholds=((thresholds[1:] + thresholds[:-1]) / 2).tolist())
    metric.update_state(labels, scores)
    assert float(metric.result()) == pytest.approx(ranks(scores, labels), rel=1e-6)


def test_auc_of_labels():
    metric = metrics.AUC(num_thresholds=2000, multi_label=True, num_labels=K)
    weighted = metrics.AUC(
        num_thresholds=2000, multi_label=True, label_weights=[1.0, 0, 2, 0]
    )
    for m in (metric, weighted):
        m.update_state(BITS, GUESS)
    by_label = [ranks(GUESS[:, k], BITS[:, k]) for k in range(K)]
    assert float(metric.result()) == pytest.approx(np.mean(by_label), abs=1e-4)
    expected = (by_label[0] + 2 * by_label[2]) / 3
    assert float(weighted.result()) == pytest.approx(expected, abs=1e-4)


def test_auc_from_logits():
    logits = np.log(GUESS / (1 - GUESS))
    a, b = metrics.AUC(), metrics.AUC(from_logits=True)
    a.update_state(BITS, GUESS)
    b.update_state(BITS, logits)
    assert float(a.result()) == pytest.approx(float(b.result()), rel=1e-5)


@pytest.mark.parametrize("curve", ["ROC", "PR"])
def test_auc_against_scikit_learn(curve):
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 500)
    scores = np.clip(0.35 * labels + 0.6 * rng.random(500), 0, 1)
    metric = metrics.AUC(num_thresholds=4000, curve=curve)
    metric.update_state(labels, scores)
    score = sk.roc_auc_score if curve == "ROC" else sk.average_precision_score
    assert float(metric.result()) == pytest.approx(score(labels, scores), abs=3e-3)


def test_precision_and_recall_at_thresholds():
    metric, recall = metrics.Precision([0.2, 0.6]), metrics.Recall([0.2, 0.6])
    metric.update_state(BITS, GUESS, WEIGHTS)
    recall.update_state(BITS, GUESS, WEIGHTS)
    for i, t in enumerate((0.2, 0.6)):
        w = WEIGHTS[:, None]
        hit = ((GUESS > t) * BITS * w).sum()
        assert metric.result().numpy()[i] == pytest.approx(
            hit / ((GUESS > t) * w).sum(), rel=1e-5
        )
        assert recall.result().numpy()[i] == pytest.approx(
            hit / (BITS * w).sum(), rel=1e-5
        )


def test_class_id_and_top_k():
    one = metrics.Recall(class_id=2)
    one.update_state(BITS, GUESS)
    right = ((GUESS[:, 2] > 0.5) * BITS[:, 2]).sum() / BITS[:, 2].sum()
    assert float(one.result()) == pytest.approx(right)
    top = metrics.Precision(top_k=2)
    top.update_state(BITS, GUESS)
    best = np.argsort(-GUESS, axis=1)[:, :2]
    hits = np.take_along_axis(BITS, best, 1).sum()
    assert float(top.result()) == pytest.approx(hits / (2 * N))


@pytest.mark.parametrize(
    ("average", "expected"),
    [
        ("micro", 2 * 4 / (2 * 4 + 2 + 2)),
        ("macro", np.mean([0.5, 0.8, 2 / 3])),
        ("weighted", (3 * 0.5 + 2 * 0.8 + 1 * 2 / 3) / 6),
    ],
)
def test_averages_of_f1(average, expected):
    metric = metrics.F1Score(average, threshold=0.5)
    metric.update_state(*BY_CLASS)
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)


def test_best_class_counts_without_threshold():
    metric = metrics.F1Score("micro")
    metric.update_state(ONE_HOT, PROBS)
    accuracy = (PROBS.argmax(1) == INDEX).mean()
    assert float(metric.result()) == pytest.approx(accuracy)


def test_r2_aggregations():
    y, p = BITS + GUESS, GUESS * 1.5
    residual = ((y - p) ** 2).sum(0)
    total = ((y - y.mean(0)) ** 2).sum(0)
    scores = 1 - residual / total
    for how, expected in {
        None: scores,
        "uniform_average": scores.mean(),
        "variance_weighted_average": (scores * total).sum() / total.sum(),
    }.items():
        metric = metrics.R2Score(how)
        metric.update_state(y, p)
        np.testing.assert_allclose(metric.result().numpy(), expected, rtol=1e-5)
    adjusted = metrics.R2Score(num_regressors=2)
    adjusted.update_state(y[:, :1], p[:, :1])
    expected = 1 - (1 - scores[0]) * (N - 1) / (N - 3)
    assert float(adjusted.result()) == pytest.approx(expected, rel=1e-5)
    with pytest.warns(UserWarning, match="not adjusted"):
        few = metrics.R2Score(num_regressors=20)
        few.update_state(y[:, :1], p[:, :1])
        few.result()


def test_top_k_counts_ties_and_sorted_ids():
    scores = np.float32([[0.5, 0.5, 0.1], [0.2, 0.3, 0.5]])
    hits = metrics.sparse_top_k_categorical_accuracy([1, 0], scores, k=2).numpy()
    np.testing.assert_array_equal(hits, [1, 0])
    ids = np.array([[2, 0, 1], [1, 2, 0]])
    hits = metrics.sparse_top_k_categorical_accuracy([0, 0], ids, 2, True).numpy()
    np.testing.assert_array_equal(hits, [1, 0])


def test_ignored_class_of_crossentropy_does_not_count():
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=1)
    metric.update_state(INDEX, PROBS, WEIGHTS)
    kept = INDEX != 1
    values = -np.log(PROBS[np.arange(N), INDEX])[kept]
    expected = (values * WEIGHTS[kept]).sum() / WEIGHTS[kept].sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_iou_ignores_a_class_and_classes_never_met():
    metric = metrics.MeanIoU(4, ignore_class=3)
    metric.update_state([0, 0, 1, 3], [0, 1, 1, 0])
    assert float(metric.result()) == pytest.approx(0.5, rel=1e-6)


def test_means_of_many_axes():
    values, weights = RNG.random((2, 3, 4)), RNG.random((2, 3))
    metric = metrics.Mean()
    metric.update_state(values, weights)
    expected = (values.mean(-1) * weights).sum() / weights.sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    metric.update_state(2.5, 4.0)  # a batch loss and its batch size
    metric.update_state(1.0, 2.0)
    assert float(metric.result()) == pytest.approx(2.0)


def test_counts_stay_exact_beyond_float32():
    metric = metrics.Mean()
    metric.count.assign(2.0**24)
    metric.total.assign(2.0**24)
    for _ in range(4):
        metric.update_state([0.0])
    assert metric.count.numpy() == 2**24 + 4
    hits = metrics.TruePositives()
    hits.true_positives.assign([2.0**24])
    hits.update_state([1], [1.0])
    assert hits.true_positives.numpy()[0] == 2**24 + 1


def test_shapes_are_never_broadcast():
    for metric in (metrics.BinaryAccuracy(), metrics.Precision(), metrics.AUC()):
        with pytest.raises(ShapeError, match="same shape"):
            metric.update_state(np.ones(3), np.ones((3, 1)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.AUC(curve="LIFT"),
        lambda: metrics.AUC(summation_method="middle"),
        lambda: metrics.AUC(num_thresholds=1),
        lambda: metrics.AUC(num_labels=3),
        lambda: metrics.Precision(thresholds=1.5),
        lambda: metrics.F1Score(average="mean"),
        lambda: metrics.FBetaScore(beta=0.0),
        lambda: metrics.R2Score("median"),
        lambda: metrics.IoU(2, [2]),
        lambda: metrics.PrecisionAtRecall(1.5),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ValueError, match=r"\["):
        make()


# -- user's metrics -------------------------------------------------------------------


class Largest(metrics.Metric):
    def __init__(self, name="largest", **kwargs):
        super().__init__(name=name, **kwargs)
        self.seen = self.add_weight(name="seen", initializer="zeros")
        self.inner = metrics.Mean()
        self.extra = Variable(0.0, trainable=False, name="extra")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(1.0)
        self.inner.update_state(y_pred)

    def result(self):
        return self.seen.value


def test_user_subclass_tracks_and_resets():
    metric = Largest()
    assert [v.name for v in metric.variables] == ["seen", "extra", "total", "count"]
    assert metric.seen.path == "largest/seen"
    assert float(metric(None, [1.0])) == 1.0
    assert float(metric(None, [1.0])) == 2.0
    metric.reset_state()
    assert not any(v.numpy().any() for v in metric.variables)
    with pytest.raises(NotImplementedError, match="update_state"):
        metrics.Metric().update_state()


def test_old_spellings():
    class Old(metrics.Metric):
        def __init__(self):
            super().__init__()
            self.total = self.add_weight("total", initializer="zeros")

    with pytest.warns(FutureWarning, match=r"add_weight\(name="):
        metric = Old()
    assert metric.total.name == "total"
    metric.total.assign(3.0)
    with pytest.warns(FutureWarning, match="reset_state"):
        metric.reset_states()
    assert metric.total.numpy() == 0.0


def test_function_becomes_a_metric():
    def error(y_true, y_pred):
        return y_true - y_pred

    metric = metrics.resolve_metric(error)
    assert (type(metric), metric.name) == (metrics.MeanMetricWrapper, "error")
    assert float(metric(np.float32([3, 4]), np.float32([1, 1]))) == 2.5


@pytest.mark.parametrize(
    ("true", "pred", "loss", "cls"),
    [
        ((32, 1), (32, 1), None, metrics.BinaryAccuracy),
        ((32,), (32,), None, metrics.BinaryAccuracy),
        ((32,), (32, 10), None, metrics.SparseCategoricalAccuracy),
        ((None, 1), (None, 10), None, metrics.SparseCategoricalAccuracy),
        ((32, 10), (32, 10), None, metrics.CategoricalAccuracy),
        ((2, 5), (2, 5, 10), None, metrics.SparseCategoricalAccuracy),
        (None, None, "binary_crossentropy", metrics.BinaryAccuracy),
        (
            None,
            None,
            losses.SparseCategoricalCrossentropy(),
            metrics.SparseCategoricalAccuracy,
        ),
        (None, None, losses.categorical_crossentropy, metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc"])
def test_accuracy_by_shapes_or_loss(name, true, pred, loss, cls):
    metric = metrics.resolve_metric(name, true, pred, loss)
    assert (type(metric), metric.name) == (cls, name)


def test_names_of_resolved_metrics():
    assert metrics.resolve_metric("mse").name == "mse"
    assert metrics.resolve_metric(metrics.Mean(name="own")).name == "own"
    found = metrics.resolve_metric("ce", (8,), (8, 3))
    assert type(found) is metrics.SparseCategoricalCrossentropy


def test_results_raise_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.Mean().result()
