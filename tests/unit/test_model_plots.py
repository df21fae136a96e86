# SPDX-License-Identifier: Apache-2.0
"""Pictures of models: what is in them, and that nothing in them overlaps."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from fastnn import Input, Model, Sequential, layers
from fastnn.errors import NotBuiltError
from fastnn.utils import model_to_dot, plot_model
from fastnn.utils.drawing.boxes import Options, draw
from fastnn.utils.drawing.placement import place
from fastnn.utils.drawing.svg import box_size

SVG = "{http://www.w3.org/2000/svg}"


def wide_and_deep() -> Model:
    wide, deep = Input((5,), name="wide"), Input((6,), name="deep")
    hidden = layers.Dense(30, activation="relu", name="h1")(deep)
    hidden = layers.Dense(30, name="h2")(hidden)
    joined = layers.Concatenate(name="cat")([wide, hidden])
    out = layers.Dense(1, name="out")(joined)
    return Model([wide, deep], [out, layers.Dense(1, name="aux")(hidden)], name="m")


def residual() -> Model:
    x = start = Input((8,), name="start")
    for k in range(3):
        y = layers.Dense(8, name=f"a{k}")(x)
        x = layers.Add(name=f"sum{k}")([x, layers.Dense(8, name=f"b{k}")(y)])
    return Model(start, layers.Add(name="end")([x, start]), name="m")


def nested() -> Model:
    chain = Sequential(
        [Input((8,)), layers.Dense(4, name="c1"), layers.Dense(4, name="c2")],
        name="chain",
    )
    one, two = Input((4,), name="one"), Input((8,), name="two")
    mixed = layers.Dense(3, name="mixed")(layers.Concatenate(name="j")([one, two]))
    graph = Model([one, two], [mixed, one * 2.0], name="graph")
    start = Input((8,), name="start")
    first, _ = graph([chain(start), start])
    return Model(start, layers.Dense(1, name="end")(first), name="m")


def shared() -> Model:
    start = Input((4,), name="start")
    twice = layers.Dense(4, name="twice")
    return Model(start, twice(twice(start)), name="m")


def chain() -> Sequential:
    parts = [Input((28, 28)), layers.Flatten(name="f"), layers.Dense(3, name="d")]
    return Sequential(parts, name="m")


MODELS = [wide_and_deep, residual, nested, shared, chain]
NAMED = Options(show_layer_names=True)


def arrows(model: Model, **options: bool) -> set[tuple[str, str]]:
    frame = draw(model, NAMED._replace(**options))
    return {(a.title.bold, b.title.bold) for a, b in frame.arrows}


def test_arrows_are_the_tensors() -> None:
    assert arrows(wide_and_deep()) == {
        ("deep", "h1"),
        ("h1", "h2"),
        ("wide", "cat"),
        ("h2", "cat"),
        ("cat", "out"),
        ("h2", "aux"),
    }
    assert arrows(chain()) == {("f", "d")}
    assert arrows(shared()) == {("start", "twice"), ("twice", "twice")}


def test_nested_models_are_boxes_or_frames() -> None:
    assert arrows(nested()) == {
        ("start", "chain"),
        ("chain", "graph"),
        ("start", "graph"),
        ("graph", "end"),
    }
    frame = draw(nested(), NAMED._replace(expand_nested=True))
    names = {(a.title.bold, b.title.bold) for a, b in frame.arrows}
    assert names >= {
        ("start", "c1"),
        ("c1", "c2"),
        ("c2", "one"),
        ("start", "two"),
        ("one", "j"),
        ("two", "j"),
        ("mixed", "end"),
    }
    assert [i.name for i in frame.items if hasattr(i, "items")] == ["chain", "graph"]


def test_a_subclassed_model_is_one_box() -> None:
    class Net(Model):
        def __init__(self) -> None:
            super().__init__(name="net")
            self.inner = layers.Dense(2)

        def call(self, x):
            return self.inner(x)

    net = Net()
    net.build((None, 3))
    frame = draw(net, NAMED)
    assert [box.title.bold for box in frame.boxes()] == ["net"]
    assert frame.arrows == []


def apart(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    (x, y, w, h), (p, q, v, g) = a, b
    return x + w <= p or p + v <= x or y + h <= q or q + g <= y


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("make", MODELS)
def test_boxes_do_not_overlap_and_arrows_end_at_them(make, expand) -> None:
    frame = draw(make(), NAMED._replace(expand_nested=expand, show_shapes=True))
    placed = place(frame, {box: box_size(box) for box in frame.boxes()})
    assert set(placed.boxes) == set(frame.boxes())
    for a, b in combinations(placed.boxes.values(), 2):
        assert apart(a, b)
    width, height = placed.size
    for x, y, w, h in [*placed.boxes.values(), *(r for _, r in placed.frames)]:
        assert min(x, y) > -1e-6 and x + w < width + 1e-6 and y + h < height + 1e-6
    ends = {(round(a[0][1], 3), round(a[-1][1], 3)) for a in placed.arrows}
    assert len(placed.arrows) == len(frame.arrows)
    bottoms = {round(y + h, 3) for _, y, _, h in placed.boxes.values()}
    tops = {round(y, 3) for _, y, _, _ in placed.boxes.values()}
    straight = [e for e in ends if e[0] < e[1]]
    assert all(a in bottoms and b in tops for a, b in straight)
    assert len(ends) - len(straight) == (make is shared)


def test_inputs_stand_right_above_their_readers() -> None:
    frame = draw(wide_and_deep(), NAMED)
    placed = place(frame, {box: box_size(box) for box in frame.boxes()})
    at = {box.title.bold: r[1] for box, r in placed.boxes.items()}
    assert at["deep"] < at["h1"] < at["wide"] == at["h2"] < at["cat"] == at["aux"]


@pytest.mark.feature("1B-30")
@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
@pytest.mark.parametrize("splines", ["ortho", "line", "polyline", "spline", "curved"])
def test_svg_files(tmp_path, rankdir, splines) -> None:
    path = tmp_path / "m.svg"
    options = {"rankdir": rankdir, "splines": splines}
    shown = plot_model(
        wide_and_deep(),
        path,
        show_shapes=True,
        show_dtype=True,
        show_layer_names=True,
        show_layer_activations=True,
        show_trainable=True,
        **options,
    )
    assert shown is None
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert {"h1", "(Dense)", "relu", "(None, 30)", "float32", "Trainable"} <= set(texts)
    assert "[(None, 5), (None, 30)]" in texts
    lines = [p for p in root.iter(f"{SVG}path") if p.get("marker-end")]
    assert len(lines) == 6
    width, height = (float(root.get(side)) for side in ("width", "height"))
    for line in lines:
        numbers = [float(n) for n in re.findall(r"-?[\d.]+", line.get("d"))]
        assert max(numbers[::2]) <= width and max(numbers[1::2]) <= height


def test_names_are_escaped(tmp_path) -> None:
    model = Sequential([Input((2,)), layers.Dense(1, name='<a&"b">')], name="x<y")
    path = tmp_path / "m.svg"
    plot_model(model, path, show_layer_names=True, expand_nested=True)
    texts = [t.text for t in ET.parse(path).iter(f"{SVG}text")]
    assert '<a&"b">' in texts


def test_dot_files_have_the_same_arrows(tmp_path) -> None:
    path = tmp_path / "m.dot"
    model = nested()
    plot_model(model, path, show_layer_names=True, expand_nested=True)
    text = path.read_text()
    names = dict(re.findall(r"(n\d+) \[label=<.*?<b>(\w+)</b>", text))
    found = {(names[a], names[b]) for a, b in re.findall(r"(n\d+) -> (n\d+)", text)}
    assert found == arrows(model, expand_nested=True)
    assert text.count("subgraph") == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydot's
def test_pydot_reads_what_is_written() -> None:
    pytest.importorskip("pydot")
    graph = model_to_dot(nested(), expand_nested=True, show_shapes=True)
    assert len(graph.get_subgraphs()) == 2
    assert len(graph.get_edges()) == len(arrows(nested(), expand_nested=True))
    cluster = model_to_dot(chain(), subgraph=True)
    assert type(cluster).__name__ in ("Cluster", "Subgraph")


def test_pictures_need_graphviz(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match=r"Graphviz.*'m\.svg'\) needs nothing"):
        plot_model(chain(), tmp_path / "m.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_graphviz_draws(tmp_path) -> None:
    plot_model(nested(), tmp_path / "m.png", expand_nested=True)
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_named(tmp_path) -> None:
    with pytest.raises(NotBuiltError, match="no weights yet"):
        plot_model(Sequential([layers.Dense(3)]), tmp_path / "m.svg")
    with pytest.raises(ValueError, match="unknown arguments: show_shape"):
        plot_model(chain(), tmp_path / "m.svg", show_shape=True)
    with pytest.raises(ValueError, match="no longer supported"):
        plot_model(chain(), tmp_path / "m.svg", layer_range=["f", "d"])
    with pytest.raises(ValueError, match="rankdir must be one of"):
        plot_model(chain(), tmp_path / "m.svg", rankdir="down")
