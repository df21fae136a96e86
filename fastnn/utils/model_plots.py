# SPDX-License-Identifier: Apache-2.0
"""Pictures of models: SVG by fastnn itself, other formats by Graphviz."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastnn.errors import NOT_BUILT, NotBuiltError
from fastnn.utils.drawing.boxes import Frame, Options, draw
from fastnn.utils.drawing.dot import dot
from fastnn.utils.drawing.svg import svg


def _drawn(name: str, model: Any, kwargs: dict[str, Any], options: Options) -> Frame:
    if kwargs.pop("layer_range", None) is not None:
        raise ValueError(f"[{name}] layer_range is no longer supported, as in Keras 3.")
    if kwargs:
        raise ValueError(f"[{name}] received unknown arguments: {', '.join(kwargs)}.")
    if not model.built:
        raise NotBuiltError(NOT_BUILT.format(method=name, name=model.name))
    return draw(model, options)


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """The model as a graph of pydot, for those who want to change it.

    Args:
        subgraph: return a `pydot.Cluster`, to be put into another graph.
        model, show_shapes, show_dtype, show_layer_names, rankdir, expand_nested, dpi,
            show_layer_activations, show_trainable, splines: see `plot_model`.

    Returns:
        A `pydot.Dot`, or a `pydot.Cluster`.

    Raises:
        ImportError: without pydot.
        NotBuiltError: for a model without a known input shape.
        ValueError: for unknown arguments.
    """
    options = Options(
        show_shapes,
        show_dtype,
        show_layer_names,
        expand_nested,
        show_layer_activations,
        show_trainable,
    )
    frame = _drawn("model_to_dot", model, kwargs, options)
    try:
        import pydot
    except ImportError:
        raise ImportError(
            '[model_to_dot] needs pydot: pip install "fastnn-dl[plot]". '
            "plot_model(model, 'model.svg') and 'model.dot' need nothing."
        ) from None
    graphs = pydot.graph_from_dot_data(dot(frame, rankdir, splines, dpi, subgraph))
    assert graphs, "pydot reads what dot() writes"
    graph = graphs[0]
    return graph.get_subgraphs()[0] if subgraph else graph


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
    **kwargs: Any,
) -> Any:
    """Draws a model into a file: boxes for layers, arrows for tensors.

    A file that ends with `.svg` or `.dot` needs nothing; other formats are drawn by
    Graphviz, whose program `dot` must be installed.

    Args:
        model: a built model; a subclassed one is a single box.
        to_file: name of the file; what it ends with says the format.
        show_shapes: show the shapes of inputs and outputs.
        show_dtype: show the dtypes of outputs.
        show_layer_names: show names before classes.
        rankdir: direction of the arrows, "TB", "BT", "LR" or "RL".
        expand_nested: show what is inside of models that are layers.
        dpi: resolution of pictures made of points.
        show_layer_activations: show activations.
        show_trainable: show which layers are trained.
        splines: form of the arrows: "ortho", "polyline", "line", "spline", "curved".

    Returns:
        In a notebook the picture, else None.

    Raises:
        ImportError: when the format needs Graphviz and it is not there.
        NotBuiltError: (a ValueError) for a model without a known input shape.
        ValueError: for unknown arguments.
    """
    options = Options(
        show_shapes,
        show_dtype,
        show_layer_names,
        expand_nested,
        show_layer_activations,
        show_trainable,
    )
    frame = _drawn("plot_model", model, kwargs, options)
    path = Path(to_file)
    form = path.suffix[1:].lower() or "png"
    if form == "svg":
        path.write_text(svg(frame, rankdir, splines), encoding="utf-8")
    elif form in ("dot", "gv"):
        path.write_text(dot(frame, rankdir, splines, dpi), encoding="utf-8")
    else:
        _run_graphviz(dot(frame, rankdir, splines, dpi), path, form)
    return _shown(path, form)


def _run_graphviz(text: str, path: Path, form: str) -> None:
    import shutil
    import subprocess

    program = shutil.which("dot")
    if program is None:
        raise ImportError(
            f"[plot_model] a .{form} file is drawn by Graphviz, whose program 'dot' is "
            "not installed (apt install graphviz, brew install graphviz). "
            f"plot_model(model, {path.stem + '.svg'!r}) needs nothing."
        )
    done = subprocess.run(
        [program, f"-T{form}", "-o", os.fspath(path)],
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise ValueError(
            f"[plot_model] Graphviz could not write {path}: "
            f"{done.stderr.decode(errors='replace').strip()}"
        )


def _shown(path: Path, form: str) -> Any:
    """The picture for a notebook; None elsewhere."""
    import sys

    if "IPython" not in sys.modules or form in ("pdf", "dot", "gv"):
        return None
    from IPython import display

    if form == "svg":
        return display.SVG(filename=os.fspath(path))
    return display.Image(filename=os.fspath(path))


__all__ = ["model_to_dot", "plot_model"]
