# SPDX-License-Identifier: Apache-2.0
"""NumPy helpers for labels, sequences and batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Class indices as rows of one 1 and zeros, float32.

    Args:
        x: integers from 0 to `num_classes - 1`, of any shape; a last axis of size 1 is
            dropped.
        num_classes: default `max(x) + 1`.

    Returns:
        Array of the shape of `x` and a last axis of size `num_classes`.

    Raises:
        ValueError: for an index outside the classes.

    Example:
        >>> keras.utils.to_categorical([0, 2]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    indices = np.asarray(x).astype("int64")
    if indices.ndim > 1 and indices.shape[-1] == 1:
        indices = indices[..., 0]
    largest = int(indices.max()) if indices.size else -1
    classes = largest + 1 if num_classes is None else int(num_classes)
    if indices.size and (largest >= classes or indices.min() < 0):
        raise ValueError(
            f"[to_categorical] indices run from {indices.min()} to {largest}, outside "
            f"0 to {classes - 1}."
        )
    rows = np.zeros((indices.size, classes), "float32")
    rows[np.arange(indices.size), indices.ravel()] = 1.0
    return rows.reshape(*indices.shape, classes)


def normalize(x: Any, axis: int = -1, order: float = 2) -> np.ndarray:
    """`x` divided by its norm of this order along `axis`; zero vectors stay zero.

    Example:
        >>> keras.utils.normalize(np.array([[3.0, 4.0]])).tolist()
        [[0.6, 0.8]]
    """
    values = np.asarray(x)
    norm = np.linalg.norm(values, order, axis, keepdims=True)
    unit: np.ndarray = values / np.where(norm == 0, 1, norm)
    return unit


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences of different lengths as one array `(count, maxlen, ...)`.

    Args:
        sequences: lists, or arrays equal in all axes but the first.
        maxlen: length of the result, default the longest.
        dtype: dtype of the result.
        padding: `"pre"` or `"post"`: where to fill up short sequences.
        truncating: `"pre"` or `"post"`: where to cut long ones.
        value: filling.

    Raises:
        ValueError: for other words, and for sequences that do not fit together.

    Example:
        >>> keras.utils.pad_sequences([[1], [2, 3]]).tolist()
        [[0, 1], [2, 3]]
    """
    for name, word in (("padding", padding), ("truncating", truncating)):
        if word not in ("pre", "post"):
            raise ValueError(
                f"[pad_sequences] {name} must be 'pre' or 'post', got {word!r}."
            )
    items = [np.asarray(sequence, dtype=dtype) for sequence in sequences]
    if any(item.ndim == 0 for item in items):
        raise ValueError(
            "[pad_sequences] takes a list of sequences, [[1, 2], [3]]; received "
            "numbers: write [sequence] for one."
        )
    shapes = {item.shape[1:] for item in items if len(item)}
    if len(shapes) > 1:
        raise ValueError(f"[pad_sequences] entries differ in shape: {sorted(shapes)}.")
    length = maxlen
    if length is None:
        length = max((len(item) for item in items), default=0)
    tail = shapes.pop() if shapes else ()
    padded = np.full((len(items), length, *tail), value, dtype)
    for row, item in zip(padded, items, strict=True):
        kept = item[max(0, len(item) - length) :]
        if truncating == "post":
            kept = item[:length]
        if len(kept):
            place = (
                slice(0, len(kept)) if padding == "post" else slice(-len(kept), None)
            )
            row[place] = kept
    return padded


__all__ = ["normalize", "pad_sequences", "to_categorical"]
