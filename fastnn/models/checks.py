# SPDX-License-Identifier: Apache-2.0
"""Errors that are found before the first step, when nothing has changed yet."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import tree
from fastnn.errors import ShapeError, warn_user


def check_count(where: str, name: str, value: Any, least: int = 1) -> int:
    """The value as an int.

    Raises:
        ValueError: when it is no integer, or smaller than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        shape = getattr(value, "shape", ())
        shown = f"an array of shape {shape}" if shape else repr(value)
        raise ValueError(f"[{where}] {name} must be an integer, received {shown}.")
    if value < least:
        raise ValueError(
            f"[{where}] {name} must be at least {least}, received {value}."
        )
    return int(value)


def _is_sparse(loss: Any) -> bool:
    home = sys.modules.get("fastnn.losses.crossentropy")
    if home is None:  # not loaded, so not used
        return False
    if isinstance(loss, home.SparseCategoricalCrossentropy):
        return True
    return getattr(loss, "fn", None) is home.sparse_categorical_crossentropy


def _is_own(loss: Any) -> bool:
    """Losses of this package have no use for a NaN target; a user's loss may."""
    fn = getattr(loss, "fn", type(loss))
    return str(fn.__module__).startswith("fastnn.losses")


def _first(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))


def check_targets(
    loss: Any, y: np.ndarray, output_shape: Sequence[int | None], where: str
) -> None:
    """Looks for NaN targets, labels outside the classes, and shapes that cannot fit.

    Args:
        loss: a Loss, or None.
        y: targets of one output.
        output_shape: shape of that output with an open batch axis.
        where: name of the method, for the message.

    Raises:
        ValueError: naming the row and the value.
    """
    if loss is None or not _is_own(loss):
        return
    # A sum is the cheapest look at all values; only then search for the culprit.
    if y.dtype.kind == "f" and np.isnan(np.sum(y)) and np.isnan(y).any():
        row = _first(np.isnan(y))
        raise ValueError(
            f"[{where}] y is NaN in row {row[0]}: {loss.name} would make every weight "
            "NaN. Drop such rows, or replace the value."
        )
    if _kind(loss) in ("binary_crossentropy", "BinaryCrossentropy"):
        _warn_of_no_probability(loss, y, where)
    classes = output_shape[-1] if len(output_shape) else None
    if _is_sparse(loss) and classes is not None:
        _check_labels(loss, y, int(classes), output_shape, where)


def _kind(loss: Any) -> str:
    return str(getattr(getattr(loss, "fn", type(loss)), "__name__", ""))


def _warn_of_no_probability(loss: Any, y: np.ndarray, where: str) -> None:
    """Labels of -1 and 1, or of 0 and 255, let a cross-entropy fall without end."""
    if not y.size or (y.min() >= 0 and y.max() <= 1):
        return
    row = _first((y < 0) | (y > 1))
    warn_user(
        f"[{where}] label {y[row].item()} in row {row[0]} is outside 0..1: {loss.name} "
        "takes 0 and 1, or probabilities. Write y > 0 for labels of -1 and 1, y / 255 "
        "for pixels."
    )


def _check_labels(
    loss: Any, y: np.ndarray, classes: int, output_shape: Sequence[Any], where: str
) -> None:
    one_hot = y.ndim == len(output_shape) and y.shape[-1] == classes != 1
    if one_hot:
        raise ShapeError(
            f"[{where}] {loss.name} takes one integer per row, received y {y.shape}: "
            "these look like one-hot rows. Use loss='categorical_crossentropy', or "
            "y.argmax(axis=-1)."
        )
    if y.dtype.kind == "f" and (parts := y != np.floor(y)).any():
        row = _first(parts)
        raise ValueError(
            f"[{where}] label {y[row].item()} in row {row[0]} is no whole number: "
            f"{loss.name} takes the number of a class. For quantities write "
            "loss='mse' and Dense(1); classes are y.astype('int32')."
        )
    if y.min() >= 0 and y.max() < classes:
        return
    bad = (y < 0) | (y >= classes)
    ignored = getattr(loss, "ignore_class", None)
    if ignored is not None:
        bad &= y != ignored
    if bad.any():
        row = _first(bad)
        raise ValueError(
            f"[{where}] label {y[row].item()} in row {row[0]} is not a class: the "
            f"model has {classes} outputs, so labels must be 0..{classes - 1}."
        )


def check_sample_weight(weight: np.ndarray, y: np.ndarray | None, where: str) -> None:
    """Weights stand for the leading axes of the targets.

    Raises:
        ShapeError: when they have more axes than the targets.
    """
    rank = 1 if y is None else max(y.ndim, 1)
    trimmed = weight.ndim - 1 if weight.shape[-1:] == (1,) else weight.ndim
    if trimmed > rank:
        raise ShapeError(
            f"[{where}] sample_weight {weight.shape} has more axes than y "
            f"{None if y is None else y.shape}; give one weight per sample, shape (n,)."
        )


def warn_of_one_softmax(layers: Sequence[Any]) -> None:
    """A softmax over one output is 1 whatever the model learns."""
    last = layers[-1] if layers else None
    name = getattr(getattr(last, "activation", None), "__name__", "")
    if name == "softmax" and getattr(last, "units", None) == 1:
        warn_user(
            f"[compile] layer '{last.name}' has a softmax over one output, which is "  # type: ignore[union-attr]
            "always 1, so the model cannot learn. Write Dense(1, activation='sigmoid') "
            "with loss='binary_crossentropy', or one output per class."
        )


def warn_of_no_weights(model: Any) -> None:
    """Says why nothing is learnt: weights are frozen, or made where none keeps them."""
    if not model.layers and not model.weights:
        warn_user(
            f"[fit] model '{model.name}' has no weights, so it learns nothing. A layer "
            "that is made inside `call` is a new one at each call: make it in "
            "`__init__`, and keep it as an attribute."
        )
    elif model.weights and not model._trained():
        from fastnn.models.trainer import Trainer

        if type(model).train_step is Trainer.train_step:  # others may have weights
            warn_user(
                f"[fit] all weights of model '{model.name}' are frozen, so it learns "
                "nothing. Set trainable = True on the layers to be trained."
            )


def warn_of_nan(logs: dict[str, float], losses: Sequence[float], data: Any) -> None:
    """The first epoch with a loss of NaN says where to look.

    Args:
        logs: of the epoch.
        losses: of the epochs before.
        data: ArrayData, or None where the data is no array.
    """
    loss = logs.get("loss", 0.0)
    if loss == loss or any(before != before for before in losses[-1:]):
        return
    arrays = [] if data is None else tree.flatten(data.x)
    floats = [a for a in arrays if getattr(a, "dtype", np.dtype("i8")).kind == "f"]
    suspect = [a for a in floats if not np.isfinite(np.sum(a, dtype=np.float64))]
    if any(np.isnan(a).any() for a in suspect):
        cause = "x holds NaN: drop such rows, or replace the values"
    elif any(np.isinf(a).any() for a in suspect):
        cause = "x holds infinity: drop such rows, or clip the values"
    else:
        cause = (
            "x holds no NaN that could be found: scale the inputs to about -1..1, take "
            "a smaller learning_rate, or clip gradients with clipnorm=1"
        )
    warn_user(f"[fit] the loss is NaN and will stay so. {cause}.")
