# SPDX-License-Identifier: Apache-2.0
"""Sample weights from class weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastnn.errors import ShapeError


def check_class_weight(class_weight: Any) -> dict[int, float]:
    """`{label: weight}` with integer labels and finite weights.

    Raises:
        TypeError: when it is no such dict.
    """
    if not isinstance(class_weight, Mapping) or not class_weight:
        raise TypeError(
            "[class_weight] must be a dict such as {0: 1.0, 1: 5.0}, "
            f"received {class_weight!r}."
        )
    result: dict[int, float] = {}
    for label, weight in class_weight.items():
        whole = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        number = isinstance(weight, (int, float, np.number))
        if not whole or label < 0 or not number or not math.isfinite(weight):
            raise TypeError(
                "[class_weight] maps labels 0, 1, ... to finite weights; received "
                f"{label!r}: {weight!r}."
            )
        result[int(label)] = float(weight)
    return result


def class_weight_to_sample_weights(
    y: np.ndarray, class_weight: Mapping[int, float]
) -> np.ndarray:
    """One weight per sample, float32; classes that are not in the dict weigh 1.

    Args:
        y: labels (n,) or (n, 1), or one-hot rows (n, classes).
        class_weight: label -> weight.

    Returns:
        Array of shape (n,).

    Raises:
        ShapeError: when y is neither.
        ValueError: for a label that is no whole number.
    """
    weights = check_class_weight(class_weight)
    if y.ndim > 2:
        raise ShapeError(
            "[class_weight] works on labels of shape (n,) or (n, 1), or one-hot rows "
            f"(n, classes); received y {y.shape}."
        )
    if y.ndim == 2 and y.shape[1] > 1:
        labels = np.argmax(y, axis=1)
    else:
        labels = np.round(y.reshape(-1)).astype(np.int64)
        if (parts := labels != y.reshape(-1)).any():
            row = int(np.argmax(parts))
            raise ValueError(
                f"[class_weight] y in row {row} is {y.reshape(-1)[row]}, which is no "
                "class: weigh quantities by sample_weight, one weight per row."
            )
    result = np.ones(len(labels), np.float32)
    for label, weight in weights.items():
        result[labels == label] = weight
    return result
