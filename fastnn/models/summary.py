# SPDX-License-Identifier: Apache-2.0
"""The table of a model's layers, as Keras 3 draws it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from fastnn import tree
from fastnn._switches import output_stream, show
from fastnn.layers import _call
from fastnn.layers.input_spec import format_shape
from fastnn.layers.layer import Layer

# Lengths of lines, and where columns end: without and with connections.
_LENGTHS = (88, 108)
_POSITIONS = ((0.45, 0.80, 1.0), (0.30, 0.56, 0.74, 1.0))
_HEADERS = ("Layer (type)", "Output Shape", "Param #", "Connected to", "Trainable")
_ALIGN = ("<", "<", ">", "<", "^")
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
    if hasattr(layer, "batch_shape"):  # an input
        return layer.batch_shape
    if shape is None:
        shape = layer._build_shape
    if shape is None or not layer.built:
        return None
    if isinstance(shape, _call.Shapes):
        return layer.compute_output_shape(**shape)
    return layer.compute_output_shape(shape)


def _format_shapes(shape: Any) -> str:
    if shape is None:
        return "?"
    if isinstance(shape, dict):
        shape = list(shape.values())
    if shape and isinstance(shape[0], (list, tuple)):
        return ", ".join(format_shape(one) for one in shape)
    return format_shape(shape)


def _row(layer: Any, shape: Any, prefix: str) -> list[str]:
    params = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
    trained = "-"
    if layer.weights:
        trained = "Y" if layer.trainable_weights else "N"
    name = f"{prefix}{layer.name} ({type(layer).__name__})"
    return [name, _format_shapes(shape), params, "-", trained]


def _rows(model: Any, expand: bool, depth: int = 0) -> list[list[str]]:
    from fastnn.models.model import Model
    from fastnn.models.sequential import Sequential

    if model._graph is not None and depth == 0:
        return _graph_rows(model, expand)
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


def _graph_rows(model: Any, expand: bool) -> list[list[str]]:
    """Rows of a functional model: operations too, and what each is connected to."""
    graph = model._graph
    places = {i: f"{s.operation.name}[{s.rank}][{n}]" for i, s, n in graph.addresses()}
    shapes = {slot: spec[0] for slot, spec in enumerate(graph.specs)}
    for slot in tree.flatten(graph.inputs):
        places[slot.index] = f"{graph.specs[slot.index][2]}[0][0]"
    rows = []
    for operation in graph.operations:
        steps = [step for step in graph.steps if step.operation is operation]
        steps.sort(key=lambda step: step.rank)
        if not isinstance(operation, Layer):
            row = [f"{operation.name} ({operation._class_name})", "", "0", "", "-"]
        else:
            row = _row(operation, operation._build_shape, "")
        if steps:
            found = [format_shape(shapes[slot]) for slot in steps[-1].outputs]
            row[1] = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
            row[3] = ", ".join(places[slot] for step in steps for slot in step.slots())
        else:
            row[1] = format_shape(operation.output.shape)
        rows.append(row)
        if expand and getattr(operation, "layers", None):
            rows += _rows(operation, expand, depth=1)
    return rows


def _branches(model: Any) -> bool:
    """Whether a functional model is more than one layer after the other."""
    graph = model._graph
    if graph is None:
        return False
    last = [slot.index for slot in tree.flatten(graph.inputs)]
    for step in graph.steps:
        if len(last) != 1 or step.slots() != last or step.rank:
            return True
        last = step.outputs
    return False


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
    columns: int,
    connected: bool,
    trainable: bool,
    line_length: int | None,
    positions: Sequence[float] | None,
) -> list[int]:
    """Widths of the columns, as Keras has them of the package rich.

    Each is wished with room for a space on both sides beside it. What the line lacks is
    taken from all alike; what it has left is given in proportion.
    """
    length = line_length
    if length is None:
        length = _LENGTHS[connected] + 12 * trainable
        length = min(length, shutil.get_terminal_size().columns - 4)
    ends = list(positions or _POSITIONS[connected])
    if ends[-1] > 1:
        ends = [end / ends[-1] for end in ends]
    if trainable:
        ends = [*(0.9 * end for end in ends), 1.0]
    if len(ends) < columns:
        raise ValueError(
            f"[summary] positions must have {columns - trainable} values, received "
            f"{positions!r}."
        )
    places = [0, *(int(end * length) for end in ends[:columns])]
    widths = [end - start + 2 for start, end in pairwise(places)]
    if min(widths) < 6:
        raise ValueError(
            f"[summary] {columns} columns do not fit into {length} characters: widen "
            "the terminal, or give line_length."
        )
    spare = length - (columns + 1) - sum(widths)
    wished = sum(widths)
    for i, width in enumerate(widths):
        if spare < 0:
            share = round(spare / (columns - i))
        else:
            share = ceil(width * spare / wished)
        widths[i] += share
        spare, wished = spare - share, wished - width
    return widths


def _wrap(cell: str, width: int) -> list[str]:
    """The cell in lines of `width`; a word that is too long ends with an ellipsis."""
    lines = [""]
    for word in re.findall(r"\s*\S+\s*", cell) or [""]:
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    cut = (line.rstrip() for line in lines)
    return [line if len(line) <= width else line[: width - 1] + "…" for line in cut]


def _draw(
    row: Sequence[str], widths: Sequence[int], align: Sequence[str], edge: str
) -> list[str]:
    """A row in lines; cells begin at the top, those of the header end at the bottom."""
    cells = [_wrap(cell, width - 2) for cell, width in zip(row, widths, strict=True)]
    height = max(map(len, cells))
    for cell in cells:
        rest = [""] * (height - len(cell))
        cell[:] = rest + cell if edge == "┃" else cell + rest
    lines = []
    for i in range(height):
        parts = [
            f" {cell[i]:{side}{width - 2}} "
            for cell, width, side in zip(cells, widths, align, strict=True)
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
    connected = _branches(model)
    chosen = [0, 1, 2, *([3] if connected else []), *([4] if show_trainable else [])]

    def pick(row: Sequence[str]) -> list[str]:
        return [row[i] for i in chosen]

    rows = [pick(r) for r in _select(model, _rows(model, expand_nested), layer_range)]
    header, align = pick(_HEADERS), pick(_ALIGN)
    widths = _widths(len(chosen), connected, show_trainable, line_length, positions)
    if line_length is None and positions is None:
        # Unlike Keras, which cuts long names: two of them may be alike where they end.
        for i, column in enumerate(zip(*rows, strict=True)):
            longest = max(len(word) for cell in column for word in cell.split() or [""])
            widths[i] = max(widths[i], longest + 2)
    lines = [f'Model: "{model.name}"', _rule("┏", "━", "┳", "┓", widths)]
    lines += _draw(header, widths, align, "┃")
    lines.append(_rule("┡", "━", "╇", "┩", widths))
    for i, row in enumerate(rows):
        if i:
            lines.append(_rule("├", "─", "┼", "┤", widths))
        lines += _draw(row, widths, align, "│")
    lines.append(_rule("└", "─", "┴", "┘", widths))
    return lines + _totals(model)


def print_summary(
    model: Any, print_fn: Callable[[str], Any] | None = None, **options: Any
) -> None:
    """Prints `summary_lines` one by one; without box characters where they fail."""
    lines = summary_lines(model, **options)
    if print_fn is None:
        encoding = getattr(output_stream(), "encoding", None) or "utf-8"
        try:
            _BOXES.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            lines = [line.translate(_PLAIN) for line in lines]
        print_fn = show
    for line in lines:
        print_fn(line)
