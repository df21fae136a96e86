# SPDX-License-Identifier: Apache-2.0
"""What a picture of a model shows: boxes with lines of text, frames, arrows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from fastnn import tree

TRAINED, FROZEN = "forestgreen", "firebrick"


class Cell(NamedTuple):
    """A field of a box: plain text, then bold text, on a colour."""

    text: str
    bold: str
    fill: str = "white"


class Options(NamedTuple):
    """What the boxes say."""

    show_shapes: bool = False
    show_dtype: bool = False
    show_layer_names: bool = False
    expand_nested: bool = False
    show_layer_activations: bool = False
    show_trainable: bool = False


class Box:
    """A layer or operation: a title over rows of cells."""

    def __init__(self, title: Cell, rows: list[list[Cell]]) -> None:
        self.title = title
        self.rows = rows

    def ends(self, index: int, side: str) -> Box:
        """The box where arrows to an input, or from an output, are tied."""
        return self


class Frame:
    """A model inside of a model, drawn as a dashed frame around its boxes.

    Attributes:
        items: boxes and frames in it.
        arrows: pairs of boxes, those between boxes in frames inside of it as well.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: list[Box | Frame] = []
        self.arrows: list[tuple[Box, Box]] = []
        self._ends: dict[str, list[Box]] = {}

    def boxes(self) -> Iterator[Box]:
        """All boxes, those in frames inside of it as well."""
        for item in self.items:
            if isinstance(item, Box):
                yield item
            else:
                yield from item.boxes()

    def ends(self, index: int, side: str) -> Box:
        """The box where arrows to an input, or from an output, are tied."""
        found = self._ends[side]
        return found[min(index, len(found) - 1)]

    def connect(self, source: Box, target: Box) -> None:
        """Adds an arrow unless it is there."""
        if (source, target) not in self.arrows:
            self.arrows.append((source, target))

    def close(self, inputs: list[Box], outputs: list[Box]) -> None:
        """Says where arrows from outside are tied."""
        self._ends = {"in": inputs, "out": outputs}


# ---- what a box says ---------------------------------------------------------------


def _text(structure: Any) -> str:
    if structure is None:
        return "?"
    if isinstance(structure, dict):
        return ", ".join(f"{key}: {value}" for key, value in structure.items())
    return str(structure)


def _ends_of(layer: Any, what: str) -> tuple[Any, Any]:
    """(shapes, dtypes) of a layer's inputs or outputs; None where they are unknown."""
    try:
        tensors = getattr(layer, what)
    except (ValueError, AttributeError):
        return None, None
    shapes = tree.map_structure(lambda t: tuple(t.shape), tensors)
    return shapes, tree.map_structure(lambda t: t.dtype, tensors)


def _shapes(layer: Any, given: Any) -> tuple[Any, Any, Any]:
    """(shapes in, shapes out, dtypes out)."""
    inputs, _ = _ends_of(layer, "input")
    outputs, dtypes = _ends_of(layer, "output")
    if outputs is None and given is not None:  # a layer of a Sequential
        inputs = tuple(given)
        outputs = tuple(layer.compute_output_shape(given))
        dtypes = getattr(layer, "compute_dtype", None)
    return inputs, outputs, dtypes


def _activation(layer: Any) -> str | None:
    activation = getattr(layer, "activation", None)
    if activation is None:
        return None
    name = getattr(activation, "name", None) or getattr(activation, "__name__", None)
    return str(name or activation)


def make_box(layer: Any, options: Options, given: Any = None) -> Box:
    """The box of a layer or operation.

    Args:
        given: shape of its input, where the layer itself does not know it.
    """
    kind = layer._class_name
    title = Cell("", kind)
    if options.show_layer_names:
        title = Cell(f" ({kind})", layer.name)
    rows = []
    activation = _activation(layer) if options.show_layer_activations else None
    if activation is not None:
        rows.append([Cell("Activation: ", activation)])
    cells = []
    inputs, outputs, dtypes = _shapes(layer, given)
    if options.show_shapes:
        if kind != "InputLayer":
            cells.append(Cell("Input shape: ", _text(inputs)))
        cells.append(Cell("Output shape: ", _text(outputs)))
    if options.show_dtype:
        cells.append(Cell("Output dtype: ", _text(dtypes)))
    if options.show_trainable and getattr(layer, "weights", None):
        trained = layer.trainable
        fill = TRAINED if trained else FROZEN
        cells.append(Cell("", "Trainable" if trained else "Non-trainable", fill))
    return Box(title, [*rows, cells] if cells else rows)


# ---- models ------------------------------------------------------------------------


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "_graph") and hasattr(layer, "train_step")


def _is_chain(model: Any) -> bool:
    return hasattr(model, "pop") and hasattr(model, "add")


def draw(model: Any, options: Options) -> Frame:
    """The picture of a model: a frame that is not drawn itself."""
    frame = Frame(model.name)
    if _is_chain(model):
        _draw_chain(frame, model, options)
    elif model._graph is not None:
        _draw_graph(frame, model, options)
    else:
        box = make_box(model, options)
        frame.items.append(box)
        frame.close([box], [box])
    return frame


def _item(layer: Any, options: Options, given: Any = None) -> Box | Frame:
    inner = options.expand_nested and _is_model(layer)
    if inner and (_is_chain(layer) or layer._graph is not None):
        return draw(layer, options)
    return make_box(layer, options, given)


def _draw_chain(frame: Frame, model: Any, options: Options) -> None:
    shape = model.input_shape
    before: Box | Frame | None = None
    for layer in model.layers:
        item = _item(layer, options, shape)
        shape = layer.compute_output_shape(shape)
        frame.items.append(item)
        _adopt(frame, item)
        if before is not None:
            frame.connect(before.ends(0, "out"), item.ends(0, "in"))
        before = item
    if before is not None:
        frame.close([frame.items[0].ends(0, "in")], [before.ends(0, "out")])


def _draw_graph(frame: Frame, model: Any, options: Options) -> None:
    graph = model._graph
    items = {id(o): _item(o, options) for o in graph.operations}
    frame.items = list(items.values())
    for item in frame.items:
        _adopt(frame, item)
    inputs = [items[id(o)].ends(0, "in") for o in graph.entries()]
    made = dict(zip((s.index for s in tree.flatten(graph.inputs)), inputs, strict=True))
    for step in graph.steps:
        item = items[id(step.operation)]
        for i, slot in enumerate(step.slots()):
            frame.connect(made[slot], item.ends(i, "in"))
        for i, slot in enumerate(step.outputs):
            made[slot] = item.ends(i, "out")
    frame.close(inputs, [made[s.index] for s in tree.flatten(graph.outputs)])


def _adopt(frame: Frame, item: Box | Frame) -> None:
    if isinstance(item, Frame):
        frame.arrows += item.arrows
