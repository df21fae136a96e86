# SPDX-License-Identifier: Apache-2.0
"""Plots of training, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.errors import ShapeError


def pyplot(name: str) -> Any:
    """matplotlib.pyplot.

    Raises:
        ImportError: without matplotlib, saying how to get it.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            f'[{name}] needs matplotlib: pip install "fastnn-dl[plot]"'
        ) from None
    return plt


def plot_history(
    history: Any, names: str | Sequence[str] | None = None, ax: Any = None
) -> Any:
    """Learning curves: one diagram per metric, training and validation in it.

    Values of training are means over an epoch, those of validation are measured at its
    end. So the training curves stand half an epoch further left.

    Args:
        history: what `fit` returns, or its `history`: a dict of lists.
        names: the metrics to show, or one; `val_` makes no difference. All by default.
        ax: axes of matplotlib to draw everything into; new ones by default.

    Returns:
        The figure of matplotlib.

    Raises:
        ImportError: without matplotlib.
        ValueError: when there is nothing to show, or no such metric.
    """
    curves = getattr(history, "history", history)
    found = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    wanted = [names] if isinstance(names, str) else found if names is None else names
    shown = list(dict.fromkeys(name.removeprefix("val_") for name in wanted))
    for name in shown:
        if name not in found:
            raise ValueError(
                f"[plot_history] there is no {name!r}, only {', '.join(found)}."
            )
    if not shown:
        raise ValueError("[plot_history] the history is empty: fit ran no epoch.")
    plt = pyplot("plot_history")
    if ax is None:
        size = (4.5 * min(len(shown), 3), 3.5 * -(-len(shown) // 3))
        figure, grid = plt.subplots(
            -(-len(shown) // 3), min(len(shown), 3), figsize=size, squeeze=False
        )
        places = list(grid.flat)
        for place in places[len(shown) :]:
            place.remove()
    else:
        figure, places = ax.figure, [ax] * len(shown)
    epochs = list(getattr(history, "epoch", ()))
    for name, place in zip(shown, places, strict=False):
        _draw_curves(place, name, curves, epochs)
        place.set_xlabel("epoch")
        place.grid(alpha=0.3)
        place.legend()
    if ax is None:
        figure.tight_layout()
    return figure


def _draw_curves(place: Any, name: str, curves: Any, epochs: list[int]) -> None:
    values = curves.get(name)
    ends = 1 + np.asarray(epochs, "float64")
    for values, label, shift in (
        (curves.get(name), name, 0.5),
        (curves.get(f"val_{name}"), f"val_{name}", 0.0),
    ):
        if values is None:
            continue
        at = ends if len(ends) == len(values) else 1.0 + np.arange(len(values))
        place.plot(at - shift, values, label=label, marker="." if len(at) < 2 else "")


def _as_classes(name: str, values: Any) -> np.ndarray:
    """Class indices (n,), from indices, (n, 1), one-hot rows or probabilities."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] > 1:
        return array.argmax(axis=1)
    if array.ndim == 2:
        array = array[:, 0]
    if array.ndim != 1:
        raise ShapeError(
            f"[plot_confusion_matrix] {name} must have shape (n,), (n, 1) or "
            f"(n, classes), received {array.shape}."
        )
    if array.dtype.kind == "f" and not np.array_equal(array, array.astype(int)):
        return (array > 0.5).astype(int)  # probabilities of one output
    return array.astype(int)


def confusion_matrix(y_true: Any, y_pred: Any, num_classes: int | None = None) -> Any:
    """int64 (classes, classes): row = true class, column = predicted class.

    Args:
        y_true, y_pred: class indices (n,) or (n, 1), or rows of one-hot values or
            probabilities (n, classes).
        num_classes: default: the largest class that occurs, and one.
    """
    true, predicted = _as_classes("y_true", y_true), _as_classes("y_pred", y_pred)
    if true.shape != predicted.shape:
        raise ShapeError(
            f"[plot_confusion_matrix] {len(true)} labels and {len(predicted)} "
            "predictions."
        )
    largest = int(max(true.max(initial=-1), predicted.max(initial=-1)))
    classes = largest + 1 if num_classes is None else num_classes
    counts = np.zeros((classes, classes), "int64")
    np.add.at(counts, (true, predicted), 1)
    return counts


def plot_confusion_matrix(
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    normalize: bool = False,
    ax: Any = None,
) -> Any:
    """Which classes are taken for which: a table of counts, in colours.

    Args:
        y_true, y_pred: class indices (n,) or (n, 1), or rows of one-hot values or
            probabilities (n, classes), as `predict` returns them.
        class_names: a name per class.
        normalize: show the share of each true class, not counts.
        ax: axes of matplotlib to draw into; new ones by default.

    Returns:
        The figure of matplotlib.

    Raises:
        ImportError: without matplotlib.
        ShapeError: when labels and predictions do not fit together.
    """
    names = None if class_names is None else [str(name) for name in class_names]
    counts = confusion_matrix(y_true, y_pred, None if names is None else len(names))
    classes = len(counts)
    plt = pyplot("plot_confusion_matrix")
    if ax is None:
        side = 2.5 + 0.45 * classes
        figure, ax = plt.subplots(figsize=(side, side))
    else:
        figure = ax.figure
    table = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(table, cmap="Blues", vmin=0, vmax=1)
    for row in range(classes):
        for column in range(classes):
            share, count = table[row, column], counts[row, column]
            text = f"{share:.2f}" if normalize else str(count)
            colour = "white" if share > 0.5 else "black"
            ax.text(column, row, text, ha="center", va="center", color=colour)
    labels = names or [str(i) for i in range(classes)]
    long = max(map(len, labels), default=0) > 3
    ax.set_xticks(range(classes), labels, rotation=90 if long else 0)
    ax.set_yticks(range(classes), labels)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    figure.tight_layout()
    return figure


__all__ = ["plot_confusion_matrix", "plot_history"]
