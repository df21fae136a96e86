# SPDX-License-Identifier: Apache-2.0
"""Losses and metrics with their options, and what they are called on.

tools/record_keras_parts.py runs each row in Keras, test_parts_against_keras.py in
fastnn: `lib` is the module `keras` or `fastnn.keras`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

K = 4
REDUCTIONS = ("none", "sum", "mean", "sum_over_batch_size", "mean_with_sample_weight")
Pair = tuple[np.ndarray, np.ndarray]


def _rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _single(x: np.ndarray) -> np.ndarray:
    return x.astype("float32")


def real(shape: tuple[int, ...], seed: int) -> Pair:
    """Two arrays of numbers in [0, 2), (*shape, K)."""
    rng = _rng(seed)
    return _single(rng.random((*shape, K)) * 2), _single(rng.random((*shape, K)) * 2)


def bits(shape: tuple[int, ...], seed: int) -> Pair:
    """Bits and probabilities, (*shape, K); one probability is 0, one is 1."""
    rng = _rng(seed)
    y, p = rng.random((*shape, K)) < 0.5, rng.random((*shape, K))
    p.flat[0], p.flat[1] = 0, 1
    return _single(y), _single(p)


def bit_logits(shape: tuple[int, ...], seed: int) -> Pair:
    y, p = bits(shape, seed)
    return y, 8 * p - 4


def index(shape: tuple[int, ...], seed: int) -> Pair:
    """Class ids, (*shape,), and a distribution over K classes, (*shape, K)."""
    rng = _rng(seed)
    p = rng.random((*shape, K)) + 0.05
    return (rng.random(shape) * K).astype("int32"), _single(p / p.sum(-1)[..., None])


def index_logits(shape: tuple[int, ...], seed: int) -> Pair:
    y, p = index(shape, seed)
    return y, 20 * p - 5


def one_hot(shape: tuple[int, ...], seed: int) -> Pair:
    y, p = index(shape, seed)
    return np.eye(K, dtype="float32")[y], p


def one_hot_logits(shape: tuple[int, ...], seed: int) -> Pair:
    y, p = one_hot(shape, seed)
    return y, 20 * p - 5


def classes(shape: tuple[int, ...], seed: int) -> Pair:
    """Class ids twice."""
    first, second = (np.floor(_rng(seed + i).random(shape) * K) for i in (0, 1))
    return first.astype("int32"), second.astype("int32")


def single_bits(shape: tuple[int, ...], seed: int) -> Pair:
    """One bit and one probability per row."""
    y, p = bits(shape, seed)
    return y[..., 0], p[..., 1]


def embedded(shape: tuple[int, ...], seed: int) -> Pair:
    """Class ids and unit vectors."""
    y, p = index(shape, seed)
    return y % 2, p / np.linalg.norm(p, axis=-1, keepdims=True)


def spoken(shape: tuple[int, ...], seed: int) -> Pair:
    """Two words of up to three letters, 0 for none, and logits of 7 steps."""
    rng = _rng(seed)
    y = (rng.random((*shape, 3)) * 3 + 1).astype("int32")
    y[0, 2] = 0
    return y, _single(rng.random((*shape, 7, K)) * 4)


# Class -> rows: data, options
Rows = dict[str, list[tuple[Callable[..., Pair], dict[str, Any]]]]
LOSSES: Rows = {
    "BinaryCrossentropy": [
        (bits, {}),
        (bits, {"label_smoothing": 0.2, "axis": 1}),
        (bit_logits, {"from_logits": True, "label_smoothing": 0.1}),
    ],
    "BinaryFocalCrossentropy": [
        (bits, {}),
        (bits, {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0}),
        (bit_logits, {"from_logits": True, "label_smoothing": 0.1, "gamma": 1.5}),
    ],
    "CTC": [(spoken, {})],
    "CategoricalCrossentropy": [
        (one_hot, {}),
        (one_hot, {"label_smoothing": 0.2}),
        (one_hot_logits, {"from_logits": True, "label_smoothing": 0.1}),
    ],
    "CategoricalFocalCrossentropy": [
        (one_hot, {}),
        (one_hot, {"alpha": [0.1, 0.2, 0.3, 0.4], "gamma": 1.5}),
        (one_hot_logits, {"from_logits": True, "label_smoothing": 0.1}),
    ],
    "CategoricalGeneralizedCrossEntropy": [(index, {}), (index, {"q": 0.9})],
    "CategoricalHinge": [(one_hot, {})],
    "Circle": [(embedded, {}), (embedded, {"gamma": 2.0, "margin": 0.25})],
    "CosineSimilarity": [(real, {}), (real, {"axis": 1})],
    "Dice": [(bits, {}), (bits, {"axis": (0,)}), (bits, {"axis": -1})],
    "Hinge": [(bits, {}), (bit_logits, {})],
    "Huber": [(real, {}), (real, {"delta": 0.4})],
    "KLDivergence": [(lambda *a: (real(*a)[0] / 2, bits(*a)[1]), {})],
    "LogCosh": [(real, {})],
    "MeanAbsoluteError": [(real, {})],
    "MeanAbsolutePercentageError": [(real, {})],
    "MeanSquaredError": [(real, {})],
    "MeanSquaredLogarithmicError": [(real, {})],
    "Poisson": [(real, {})],
    "SparseCategoricalCrossentropy": [
        (index, {}),
        (index, {"ignore_class": 2}),
        (index_logits, {"from_logits": True}),
        (index_logits, {"from_logits": True, "ignore_class": 0}),
    ],
    "SquaredHinge": [(bits, {}), (bit_logits, {})],
    "Tversky": [(bits, {}), (bits, {"alpha": 0.3, "beta": 0.8, "axis": (1,)})],
}
# Every row of a batch counts for every other.
OF_WHOLE_BATCHES = {"Circle", "CTC", "Dice", "Tversky"}

_CONFUSION = [
    (bits, {}),
    (bits, {"thresholds": 0.3}),
    (bits, {"thresholds": [0.0, 0.25, 0.5, 1.0]}),
]
_AT = {"num_thresholds": 20}
METRICS: Rows = {
    "AUC": [
        (single_bits, {}),
        (single_bits, {"curve": "PR", "num_thresholds": 30}),
        (single_bits, {"summation_method": "minoring", "num_thresholds": 30}),
        (single_bits, {"summation_method": "majoring", "curve": "PR"}),
        (bits, {"multi_label": True, "num_thresholds": 25}),
        (bits, {"multi_label": True, "label_weights": [0.1, 0.2, 0.3, 0.4]}),
        (bit_logits, {"from_logits": True}),
        (single_bits, {"thresholds": [0.2, 0.5, 0.7]}),
    ],
    "Accuracy": [(classes, {})],
    "BinaryAccuracy": [(bits, {}), (bits, {"threshold": 0.3})],
    "BinaryCrossentropy": [
        (bits, {}),
        (bit_logits, {"from_logits": True, "label_smoothing": 0.1}),
    ],
    "BinaryIoU": [
        (single_bits, {}),
        (single_bits, {"target_class_ids": [1], "threshold": 0.3}),
    ],
    "CategoricalAccuracy": [(one_hot, {})],
    "CategoricalCrossentropy": [
        (one_hot, {}),
        (one_hot_logits, {"from_logits": True, "label_smoothing": 0.1}),
    ],
    "CategoricalHinge": [(one_hot, {})],
    "ConcordanceCorrelation": [(real, {}), (real, {"axis": 0})],
    "CosineSimilarity": [(real, {}), (real, {"axis": 1})],
    "F1Score": [
        (one_hot, {}),
        (bits, {"average": "micro", "threshold": 0.4}),
        (bits, {"average": "macro", "threshold": 0.6}),
        (one_hot, {"average": "weighted"}),
    ],
    "FBetaScore": [
        (one_hot, {"beta": 2.0}),
        (bits, {"average": "weighted", "beta": 0.5, "threshold": 0.4}),
    ],
    "FalseNegatives": _CONFUSION,
    "FalsePositives": _CONFUSION,
    "Hinge": [(bits, {})],
    "IoU": [
        (classes, {"num_classes": K, "target_class_ids": [0, 2]}),
        (
            index,
            {
                "num_classes": K,
                "target_class_ids": [1],
                "sparse_y_pred": False,
                "ignore_class": 3,
            },
        ),
    ],
    "KLDivergence": LOSSES["KLDivergence"],
    "LogCoshError": [(real, {})],
    "MeanAbsoluteError": [(real, {})],
    "MeanAbsolutePercentageError": [(real, {})],
    "MeanIoU": [
        (classes, {"num_classes": K}),
        (classes, {"num_classes": K, "ignore_class": 1}),
    ],
    "MeanSquaredError": [(real, {})],
    "MeanSquaredLogarithmicError": [(real, {})],
    "OneHotIoU": [(one_hot, {"num_classes": K, "target_class_ids": [0, 1]})],
    "OneHotMeanIoU": [
        (one_hot, {"num_classes": K}),
        (
            lambda *a: (one_hot(*a)[0], index(*a)[0]),
            {"num_classes": K, "sparse_y_pred": True},
        ),
    ],
    "PearsonCorrelation": [(real, {}), (real, {"axis": 0})],
    "Poisson": [(real, {})],
    "Precision": [
        *_CONFUSION,
        (bits, {"class_id": 1}),
        (bits, {"top_k": 2}),
        (bits, {"top_k": 2, "class_id": 3}),
    ],
    "PrecisionAtRecall": [(bits, {"recall": 0.6, **_AT})],
    "R2Score": [
        (real, {}),
        (real, {"class_aggregation": "variance_weighted_average"}),
        (real, {"class_aggregation": None}),
        (real, {"num_regressors": 1}),
    ],
    "Recall": [
        *_CONFUSION,
        (bits, {"class_id": 1}),
        (bits, {"top_k": 2}),
        (bits, {"top_k": 2, "class_id": 3}),
    ],
    "RecallAtPrecision": [(bits, {"precision": 0.6, **_AT})],
    "RootMeanSquaredError": [(real, {})],
    "SensitivityAtSpecificity": [(bits, {"specificity": 0.6, **_AT})],
    "SparseCategoricalAccuracy": [(index, {})],
    "SparseCategoricalCrossentropy": [
        (index, {}),
        (index_logits, {"from_logits": True}),
    ],
    "SparseTopKCategoricalAccuracy": [
        (index, {"k": 2}),
        (index, {"k": 3, "from_sorted_ids": False}),
    ],
    "SpecificityAtSensitivity": [(bits, {"sensitivity": 0.6, **_AT})],
    "SquaredHinge": [(bits, {})],
    "TopKCategoricalAccuracy": [(one_hot, {"k": 2})],
    "TrueNegatives": _CONFUSION,
    "TruePositives": _CONFUSION,
}
# Keras counts in integers unless told, and cuts weights off with a warning.
for _name in ("BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"):
    METRICS[_name] = [(d, {**o, "dtype": "float32"}) for d, o in METRICS[_name]]
# Those of values instead of labels and predictions.
MEANS = ("Mean", "Sum")
# Function of keras.losses or keras.metrics -> rows
FUNCTIONS: Rows = {
    "binary_accuracy": METRICS["BinaryAccuracy"],
    "binary_crossentropy": LOSSES["BinaryCrossentropy"],
    "binary_focal_crossentropy": LOSSES["BinaryFocalCrossentropy"],
    "categorical_accuracy": [(one_hot, {})],
    "categorical_crossentropy": LOSSES["CategoricalCrossentropy"],
    "categorical_focal_crossentropy": LOSSES["CategoricalFocalCrossentropy"],
    "categorical_generalized_cross_entropy": [(index, {"q": 0.3})],
    "categorical_hinge": [(one_hot, {})],
    "circle": [(embedded, {"remove_diagonal": False}), (embedded, {"gamma": 2.0})],
    "concordance_correlation": [(real, {}), (real, {"axis": 0})],
    "cosine_similarity": LOSSES["CosineSimilarity"],
    "ctc": [(spoken, {})],
    "dice": LOSSES["Dice"],
    "hinge": LOSSES["Hinge"],
    "huber": LOSSES["Huber"],
    "kl_divergence": LOSSES["KLDivergence"],
    "log_cosh": [(real, {})],
    "mean_absolute_error": [(real, {})],
    "mean_absolute_percentage_error": [(real, {})],
    "mean_squared_error": [(real, {})],
    "mean_squared_logarithmic_error": [(real, {})],
    "pearson_correlation": [(real, {}), (real, {"axis": 0})],
    "poisson": [(real, {})],
    "sparse_categorical_accuracy": [(index, {})],
    "sparse_categorical_crossentropy": LOSSES["SparseCategoricalCrossentropy"],
    "sparse_top_k_categorical_accuracy": [(index, {"k": 2})],
    "squared_hinge": LOSSES["SquaredHinge"],
    "top_k_categorical_accuracy": [(one_hot, {"k": 2})],
    "tversky": LOSSES["Tversky"],
}


def _numpy(lib: Any, value: Any) -> np.ndarray:
    return np.asarray(lib.ops.convert_to_numpy(value), "float64")


def _shapes(data: Any) -> tuple[tuple[int, ...], ...]:
    return ((6,),) if data in (embedded, spoken) else ((6,), (3, 5))


def loss_values(lib: Any, name: str, data: Any, options: dict[str, Any]) -> list[Any]:
    """Every reduction, without weights, with one per row, with masked places."""
    found = []
    for shape in _shapes(data):
        y, p = data(shape, 3)
        rng = _rng(5)
        weights, mask = _single(rng.random(shape[0])), rng.random(shape) < 0.7
        for reduction in REDUCTIONS:
            loss = getattr(lib.losses, name)(reduction=reduction, **options)
            found.append(loss(y, lib.ops.convert_to_tensor(p)))
            if name in OF_WHOLE_BATCHES:
                continue
            if np.shape(_numpy(lib, found[0]))[:1] == shape[:1]:
                given = weights if options.get("axis") != 1 else weights[:1]
                found.append(loss(y, lib.ops.convert_to_tensor(p), given))
                if options.get("axis") != 1:
                    q = lib.ops.convert_to_tensor(p)
                    q._keras_mask = lib.ops.convert_to_tensor(mask)
                    found.append(loss(y, q))
    return [_numpy(lib, value) for value in found]


def metric_values(lib: Any, name: str, data: Any, options: dict[str, Any]) -> list[Any]:
    """Results after each of three batches, after `reset_state`, and of one more; with
    weights of rows the same.
    """
    found = []
    for weighted in (False, True):
        metric = getattr(lib.metrics, name)(**options)
        for number, rows in enumerate((5, 5, 3, 4)):
            if number == 3:
                metric.reset_state()
            given: list[Any] = list(data((rows,), 10 + number))
            if weighted and number != 1:
                count = K if options.get("axis") == 0 else rows
                given.append(_single(_rng(20 + number).random(count)))
            metric.update_state(*given)
            # A copy: Keras on torch adds in place.
            found.append(np.array(_numpy(lib, metric.result())))
    return found


def mean_values(lib: Any, name: str) -> list[Any]:
    """`metric_values` of Mean and Sum, with numbers and with arrays."""
    return metric_values(lib, name, lambda *a: (real(*a)[0],), {})


def function_values(lib: Any, name: str, data: Any, options: Any) -> list[Any]:
    module = lib.losses if hasattr(lib.losses, name) else lib.metrics
    found = []
    for shape in _shapes(data):
        y, p = data(shape, 4)
        given = map(lib.ops.convert_to_tensor, (y, p))
        found.append(_numpy(lib, getattr(module, name)(*given, **options)))
    return found


def rows() -> dict[str, Callable[[Any], list[Any]]]:
    """Name of a row -> what it computes with the module `keras` or `fastnn.keras`."""
    found: dict[str, Callable[[Any], list[Any]]] = {}
    for kind, table, values in (
        ("loss", LOSSES, loss_values),
        ("metric", METRICS, metric_values),
        ("function", FUNCTIONS, function_values),
    ):
        for name, each in table.items():
            for i, (data, options) in enumerate(each):
                given = (name, data, options)
                found[f"{kind}/{name}-{i}"] = lambda lib, v=values, g=given: v(lib, *g)
    for name in MEANS:
        found[f"metric/{name}-0"] = lambda lib, n=name: mean_values(lib, n)
    return found
