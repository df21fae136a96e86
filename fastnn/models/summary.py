# SPDX-License-Identifier: Apache-2.0
"""The table of a model's layers, as Keras 3 draws it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastnn.layers.input_spec import format_shape

_WIDTHS = (33, 24, 15)
_WIDTHS_TRAINABLE = (29, 23, 12, 7)
_POSITIONS = (0.45, 0.80, 1.0)
_POSITIONS_TRAINABLE = (0.39, 0.70, 0.87, 1.0)
_HEADERS = ("Layer (type)", "Output Shape", "Param #", "Train")
_ALIGN = ("<", "<", ">", "^")
# Box characters, and what stands for them on a stream that has none.
_BOXES = "┏━┳┓┃┡╇┩│├─┼┤└┴┘"
_PLAIN = str.maketrans(_BOXES, "+-++|+++|+-+++++")


def format_bytes(size: float) -> str:
    """`1.02 MB`, in powers of 1024."""
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024.0:
            return f"{size:.2f} {unit}"
        size /= 1024.0
    return f"{size:.2f} TB"


def count_and_bytes(variables: Iterable[Any]) -> tuple[int, int]:
    """Number of scalars, and of bytes, in variables."""
    count = size = 0
    for variable in variables:
        scalars = int(np.prod(variable.shape, dtype=np.int64))
        count += scalars
        size += scalars * np.dtype(variable.dtype).itemsize
    return count, size


def _totals(model: Any) -> list[str]:
    optimizer = model.optimizer
    state = [] if optimizer is None or not optimizer.built else optimizer.variables
    parts = {
        "Total": [*model.weights, *state],
        "Trainable": model.trainable_weights,
        "Non-trainable": model.non_trainable_weights,
        "Optimizer": state,
    }
    lines = []
    for name, variables in parts.items():
        count, size = count_and_bytes(variables)
        if name != "Optimizer" or count:
            lines.append(f" {name} params: {count:,} ({format_bytes(size)})")
    return lines


def _output_shape(layer: Any, shape: Any) -> Any:
    """Shape after the layer, "?" while it is unknown."""
    if shape is None:
        shape = layer._build_shape
    if shape is None or not layer.built:
        return None
    return layer.compute_output_shape(shape)


def _format_shapes(shape: Any) -> str:
    if shape is None:
        return "?"
    if shape and isinstance(shape[0], (list, tuple)):
        return ", ".join(format_shape(one) for one in shape)
    return format_shape(shape)


def _row(layer: Any, shape: Any, prefix: str) -> list[str]:
    params = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    trained = "-"
    if layer.weights:
        trained = "Y" if layer.trainable_weights else "N"
    name = f"{prefix}{layer.name} ({type(layer).__name__})"
    return [name, _format_shapes(shape), params, trained]


def _rows(model: Any, expand: bool, depth: int = 0) -> list[list[str]]:
    from fastnn.models.model import Model
    from fastnn.models.sequential import Sequential

    rows = []
    shape = None
    if isinstance(model, Sequential) and model.built:
        shape = model.input_shape
    for layer in model.layers:
        shape = _output_shape(layer, shape)
        prefix = "   " * depth + ("└ " if depth else "")
        rows.append(_row(layer, shape, prefix))
        if expand and isinstance(layer, Model):
            rows += _rows(layer, expand, depth + 1)
        if not isinstance(model, Sequential):
            shape = None
    return rows


def _select(model: Any, rows: list[list[str]], layer_range: Any) -> list[list[str]]:
    if layer_range is None:
        return rows
    if len(layer_range) != 2:
        raise ValueError(
            "[summary] layer_range must be [first, last] layer names, received "
            f"{layer_range!r}."
        )
    names = [row[0].split("└ ")[-1].rsplit(" (", 1)[0] for row in rows]
    ends = []
    for wanted in layer_range:
        if wanted not in names:
            raise ValueError(f"[summary] model '{model.name}' has no layer {wanted!r}.")
        ends.append(names.index(wanted))
    return rows[min(ends) : max(ends) + 1]


def _widths(
    rows: list[list[str]],
    columns: int,
    line_length: int | None,
    positions: Sequence[float] | None,
) -> list[int]:
    default = _WIDTHS_TRAINABLE if columns == 4 else _WIDTHS
    if line_length is None and positions is None:
        longest = [max(len(row[i]) for row in rows) for i in range(columns)]
        return [max(w, n + 2) for w, n in zip(default, longest, strict=True)]
    total = line_length or sum(default) + columns + 1
    shares = positions or (_POSITIONS_TRAINABLE if columns == 4 else _POSITIONS)
    if len(shares) != columns:
        raise ValueError(
            f"[summary] positions must have {columns} values, received {positions!r}."
        )
    scale = total if shares[-1] <= 1 else total / shares[-1]
    ends = [int(share * scale) for share in shares]
    ends[-1] = total
    starts = [0, *ends[:-1]]
    widths = [max(e - s - 1, 7) for s, e in zip(starts, ends, strict=True)]
    widths[1] = max(widths[1] - 1, 7)
    return widths


def _wrap(cell: str, width: int) -> list[str]:
    """The cell in lines of `width`; a part that is too long ends with an ellipsis."""
    if len(cell) <= width:
        return [cell]
    head, _, tail = cell.rpartition(" ")
    lines = [head, tail] if head else [cell]
    return [
        line if len(line) <= width else line[: width - 1] + "…"
        for line in lines
        if line
    ]


def _draw(row: Sequence[str], widths: Sequence[int], edge: str) -> list[str]:
    cells = [_wrap(cell, width - 2) for cell, width in zip(row, widths, strict=False)]
    lines = []
    for i in range(max(map(len, cells))):
        parts = [
            f" {cell[i] if i < len(cell) else '':{align}{width - 2}} "
            for cell, width, align in zip(cells, widths, _ALIGN, strict=False)
        ]
        lines.append(edge + edge.join(parts) + edge)
    return lines


def _rule(left: str, line: str, cross: str, right: str, widths: Sequence[int]) -> str:
    return left + cross.join(line * width for width in widths) + right


def summary_lines(
    model: Any,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> list[str]:
    """The lines of `Model.summary`, which explains the arguments."""
    columns = 4 if show_trainable else 3
    rows = _select(model, _rows(model, expand_nested), layer_range)
    header = list(_HEADERS)
    widths = _widths(rows or [header], columns, line_length, positions)
    lines = [f'Model: "{model.name}"', _rule("┏", "━", "┳", "┓", widths)]
    lines += _draw(header[:columns], widths, "┃")
    lines.append(_rule("┡", "━", "╇", "┩", widths))
    for i, row in enumerate(rows):
        if i:
            lines.append(_rule("├", "─", "┼", "┤", widths))
        lines += _draw(row[:columns], widths, "│")
    lines.append(_rule("└", "─", "┴", "┘", widths))
    return lines + _totals(model)


def print_summary(
    model: Any, print_fn: Callable[[str], Any] | None = None, **options: Any
) -> None:
    """Prints `summary_lines` one by one; without box characters where they fail."""
    lines = summary_lines(model, **options)
    if print_fn is None:
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            _BOXES.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            lines = [line.translate(_PLAIN) for line in lines]
        print_fn = print
    for line in lines:
        print_fn(line)
