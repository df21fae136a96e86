# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.losses.classification import categorical_hinge as categorical_hinge
from fastnn.losses.classification import hinge as hinge
from fastnn.losses.classification import squared_hinge as squared_hinge
from fastnn.losses.crossentropy import binary_crossentropy as binary_crossentropy
from fastnn.losses.crossentropy import (
    binary_focal_crossentropy as binary_focal_crossentropy,
)
from fastnn.losses.crossentropy import (
    categorical_crossentropy as categorical_crossentropy,
)
from fastnn.losses.crossentropy import (
    categorical_focal_crossentropy as categorical_focal_crossentropy,
)
from fastnn.losses.crossentropy import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from fastnn.losses.regression import huber as huber
from fastnn.losses.regression import kl_divergence as kl_divergence
from fastnn.losses.regression import log_cosh as log_cosh
from fastnn.losses.regression import mean_absolute_error as mean_absolute_error
from fastnn.losses.regression import (
    mean_absolute_percentage_error as mean_absolute_percentage_error,
)
from fastnn.losses.regression import mean_squared_error as mean_squared_error
from fastnn.losses.regression import (
    mean_squared_logarithmic_error as mean_squared_logarithmic_error,
)
from fastnn.losses.regression import poisson as poisson
from fastnn.metrics.accuracy import Accuracy as Accuracy
from fastnn.metrics.accuracy import BinaryAccuracy as BinaryAccuracy
from fastnn.metrics.accuracy import CategoricalAccuracy as CategoricalAccuracy
from fastnn.metrics.accuracy import (
    SparseCategoricalAccuracy as SparseCategoricalAccuracy,
)
from fastnn.metrics.accuracy import (
    SparseTopKCategoricalAccuracy as SparseTopKCategoricalAccuracy,
)
from fastnn.metrics.accuracy import TopKCategoricalAccuracy as TopKCategoricalAccuracy
from fastnn.metrics.accuracy import binary_accuracy as binary_accuracy
from fastnn.metrics.accuracy import categorical_accuracy as categorical_accuracy
from fastnn.metrics.accuracy import (
    sparse_categorical_accuracy as sparse_categorical_accuracy,
)
from fastnn.metrics.accuracy import (
    sparse_top_k_categorical_accuracy as sparse_top_k_categorical_accuracy,
)
from fastnn.metrics.accuracy import (
    top_k_categorical_accuracy as top_k_categorical_accuracy,
)
from fastnn.metrics.auc import AUC as AUC
from fastnn.metrics.base import Metric as Metric
from fastnn.metrics.confusion import FalseNegatives as FalseNegatives
from fastnn.metrics.confusion import FalsePositives as FalsePositives
from fastnn.metrics.confusion import Precision as Precision
from fastnn.metrics.confusion import PrecisionAtRecall as PrecisionAtRecall
from fastnn.metrics.confusion import Recall as Recall
from fastnn.metrics.confusion import RecallAtPrecision as RecallAtPrecision
from fastnn.metrics.confusion import (
    SensitivityAtSpecificity as SensitivityAtSpecificity,
)
from fastnn.metrics.confusion import (
    SpecificityAtSensitivity as SpecificityAtSensitivity,
)
from fastnn.metrics.confusion import TrueNegatives as TrueNegatives
from fastnn.metrics.confusion import TruePositives as TruePositives
from fastnn.metrics.fscore import F1Score as F1Score
from fastnn.metrics.fscore import FBetaScore as FBetaScore
from fastnn.metrics.iou import BinaryIoU as BinaryIoU
from fastnn.metrics.iou import IoU as IoU
from fastnn.metrics.iou import MeanIoU as MeanIoU
from fastnn.metrics.iou import OneHotIoU as OneHotIoU
from fastnn.metrics.iou import OneHotMeanIoU as OneHotMeanIoU
from fastnn.metrics.lookup import deserialize as deserialize
from fastnn.metrics.lookup import get as get
from fastnn.metrics.lookup import resolve_metric as resolve_metric
from fastnn.metrics.lookup import serialize as serialize
from fastnn.metrics.mean import Mean as Mean
from fastnn.metrics.mean import MeanMetricWrapper as MeanMetricWrapper
from fastnn.metrics.mean import Sum as Sum
from fastnn.metrics.probabilistic import BinaryCrossentropy as BinaryCrossentropy
from fastnn.metrics.probabilistic import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from fastnn.metrics.probabilistic import CategoricalHinge as CategoricalHinge
from fastnn.metrics.probabilistic import Hinge as Hinge
from fastnn.metrics.probabilistic import KLDivergence as KLDivergence
from fastnn.metrics.probabilistic import Poisson as Poisson
from fastnn.metrics.probabilistic import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
from fastnn.metrics.probabilistic import SquaredHinge as SquaredHinge
from fastnn.metrics.regression import ConcordanceCorrelation as ConcordanceCorrelation
from fastnn.metrics.regression import CosineSimilarity as CosineSimilarity
from fastnn.metrics.regression import LogCoshError as LogCoshError
from fastnn.metrics.regression import MeanAbsoluteError as MeanAbsoluteError
from fastnn.metrics.regression import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from fastnn.metrics.regression import MeanSquaredError as MeanSquaredError
from fastnn.metrics.regression import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from fastnn.metrics.regression import PearsonCorrelation as PearsonCorrelation
from fastnn.metrics.regression import R2Score as R2Score
from fastnn.metrics.regression import RootMeanSquaredError as RootMeanSquaredError
from fastnn.metrics.regression import concordance_correlation as concordance_correlation
from fastnn.metrics.regression import pearson_correlation as pearson_correlation

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "BinaryIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "ConcordanceCorrelation",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "IoU",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanIoU",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "OneHotIoU",
    "OneHotMeanIoU",
    "PearsonCorrelation",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "resolve_metric",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]
