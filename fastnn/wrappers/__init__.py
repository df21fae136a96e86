# SPDX-License-Identifier: Apache-2.0
"""Models as estimators of scikit-learn: in pipelines, cross-validation and searches."""

from __future__ import annotations

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError:
    raise ImportError(
        '[keras.wrappers] needs scikit-learn: pip install "fastnn-dl[sklearn]"'
    ) from None

from fastnn.wrappers import scikit_learn as scikit_learn
from fastnn.wrappers.estimators import SKLearnClassifier as SKLearnClassifier
from fastnn.wrappers.estimators import SKLearnRegressor as SKLearnRegressor
from fastnn.wrappers.estimators import SKLearnTransformer as SKLearnTransformer
