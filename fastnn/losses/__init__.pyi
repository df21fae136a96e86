# SPDX-License-Identifier: Apache-2.0
# Written by tools/gen_stubs.py from the modules; do not edit.
from fastnn.losses.base import Loss as Loss
from fastnn.losses.base import LossFunctionWrapper as LossFunctionWrapper
from fastnn.losses.classification import CategoricalHinge as CategoricalHinge
from fastnn.losses.classification import Circle as Circle
from fastnn.losses.classification import Dice as Dice
from fastnn.losses.classification import Hinge as Hinge
from fastnn.losses.classification import SquaredHinge as SquaredHinge
from fastnn.losses.classification import Tversky as Tversky
from fastnn.losses.classification import categorical_hinge as categorical_hinge
from fastnn.losses.classification import circle as circle
from fastnn.losses.classification import dice as dice
from fastnn.losses.classification import hinge as hinge
from fastnn.losses.classification import squared_hinge as squared_hinge
from fastnn.losses.classification import tversky as tversky
from fastnn.losses.crossentropy import BinaryCrossentropy as BinaryCrossentropy
from fastnn.losses.crossentropy import (
    BinaryFocalCrossentropy as BinaryFocalCrossentropy,
)
from fastnn.losses.crossentropy import (
    CategoricalCrossentropy as CategoricalCrossentropy,
)
from fastnn.losses.crossentropy import (
    CategoricalFocalCrossentropy as CategoricalFocalCrossentropy,
)
from fastnn.losses.crossentropy import (
    CategoricalGeneralizedCrossEntropy as CategoricalGeneralizedCrossEntropy,
)
from fastnn.losses.crossentropy import (
    SparseCategoricalCrossentropy as SparseCategoricalCrossentropy,
)
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
    categorical_generalized_cross_entropy as categorical_generalized_cross_entropy,
)
from fastnn.losses.crossentropy import (
    sparse_categorical_crossentropy as sparse_categorical_crossentropy,
)
from fastnn.losses.lookup import deserialize as deserialize
from fastnn.losses.lookup import get as get
from fastnn.losses.lookup import serialize as serialize
from fastnn.losses.regression import CosineSimilarity as CosineSimilarity
from fastnn.losses.regression import Huber as Huber
from fastnn.losses.regression import KLDivergence as KLDivergence
from fastnn.losses.regression import LogCosh as LogCosh
from fastnn.losses.regression import MeanAbsoluteError as MeanAbsoluteError
from fastnn.losses.regression import (
    MeanAbsolutePercentageError as MeanAbsolutePercentageError,
)
from fastnn.losses.regression import MeanSquaredError as MeanSquaredError
from fastnn.losses.regression import (
    MeanSquaredLogarithmicError as MeanSquaredLogarithmicError,
)
from fastnn.losses.regression import Poisson as Poisson
from fastnn.losses.regression import cosine_similarity as cosine_similarity
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
from fastnn.losses.sequences import CTC as CTC
from fastnn.losses.sequences import ctc as ctc

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CTC",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]
