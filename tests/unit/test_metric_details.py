# SPDX-License-Identifier: Apache-2.0
"""Metrics: options, counting, shapes, the user's own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastnn import losses, metrics
from fastnn.autodiff.tensor import Variable
from fastnn.errors import ShapeError

BY_CLASS = (
    np.float32([[1, 1, 1], [1, 0, 0], [1, 1, 0]]),
    np.float32([[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]),
)
RNG = np.random.default_rng(0)
N, K = 12, 4
GUESS = (RNG.random((N, K)) * 0.9 + 0.05).astype("float32")
PROBS = GUESS / GUESS.sum(1, keepdims=True)
INDEX = RNG.integers(0, K, N)
ONE_HOT = np.eye(K, dtype="float32")[INDEX]
BITS = RNG.integers(0, 2, (N, K)).astype("float32")
WEIGHTS = RNG.random(N).astype("float32")


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
        hit = ((t < GUESS) * BITS * w).sum()
        found, positive = ((t < GUESS) * w).sum(), (BITS * w).sum()
        assert float(metric.result()[i]) == pytest.approx(hit / found, rel=1e-5)
        assert float(recall.result()[i]) == pytest.approx(hit / positive, rel=1e-5)


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
    few = metrics.R2Score(num_regressors=20)
    few.update_state(y[:, :1], p[:, :1])
    with pytest.warns(UserWarning, match="not adjusted"):
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


@pytest.mark.parametrize(
    "name",
    "AUC BinaryAccuracy BinaryCrossentropy CosineSimilarity Hinge LogCoshError "
    "MeanAbsoluteError MeanSquaredError Precision R2Score RootMeanSquaredError "
    "TruePositives".split(),
)
@pytest.mark.parametrize("weighted", [False, True])
def test_columns_count_as_vectors(name, weighted):
    """(n,) beside (n, 1) is what two columns give; nothing is broadcast."""
    rng = np.random.default_rng(3)
    y, p = (rng.random(9) > 0.5).astype("float32"), rng.random(9).astype("float32")
    weights = {"sample_weight": rng.random(9)} if weighted else {}
    found = []
    for a, b in [(y[:, None], p[:, None]), (y, p[:, None]), (y[:, None], p)]:
        metric = getattr(metrics, name)()
        metric.update_state(a, b, **weights)
        found.append(float(metric.result()))
    assert found[1:] == [found[0]] * 2


def test_columns_of_steps_count_as_vectors():
    y, p = np.float32([[0, 1, 1], [1, 1, 0]]), np.float32([[0, 1, 0], [1, 0, 0]])
    for a, b in [(y, p[..., None]), (y[..., None], p)]:
        for make in (metrics.BinaryAccuracy, metrics.Accuracy):
            assert float(make()(a, b)) == pytest.approx(4 / 6)


def test_shapes_are_never_broadcast():
    for metric in (metrics.BinaryAccuracy(), metrics.Precision(), metrics.AUC()):
        with pytest.raises(ShapeError, match="same shape"):
            metric.update_state(np.ones(3), np.ones((3, 3)))
        with pytest.raises(ShapeError, match="same shape"):
            metric.update_state(np.ones((1, 3)), np.ones((3, 1)))


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


# -- user's metrics --


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
