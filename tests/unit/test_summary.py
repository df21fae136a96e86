# SPDX-License-Identifier: Apache-2.0
"""The table of a model's layers. The expected tables were printed by Keras 3.15."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from fastnn import layers
from fastnn.models import Model, Sequential
from fastnn.models.summary import format_bytes, summary_lines


def mlp(**kwargs):
    return Sequential(
        [
            layers.Input((28, 28)),
            layers.Flatten(name="flatten"),
            layers.Dense(300, activation="relu", name="dense"),
            layers.Dense(100, activation="relu", name="dense_1"),
            layers.Dense(10, activation="softmax", name="dense_2"),
        ],
        name="sequential",
        **kwargs,
    )


MLP = """\
Model: "sequential"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ flatten (Flatten)               │ (None, 784)            │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 300)            │       235,500 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_1 (Dense)                 │ (None, 100)            │        30,100 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense_2 (Dense)                 │ (None, 10)             │         1,010 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 266,610 (1.02 MB)
 Trainable params: 266,610 (1.02 MB)
 Non-trainable params: 0 (0.00 B)"""

NARROW = """\
Model: "m"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
┃ Layer (type)             ┃ Output Shape      ┃   Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
│ flatten (Flatten)        │ (None, 784)       │         0 │
├──────────────────────────┼───────────────────┼───────────┤
│ a_very_long_name_for_a_… │ (None, 10)        │     7,850 │
│ (Dense)                  │                   │           │
└──────────────────────────┴───────────────────┴───────────┘
 Total params: 7,850 (30.66 KB)
 Trainable params: 7,850 (30.66 KB)
 Non-trainable params: 0 (0.00 B)"""

UNBUILT = """\
│ first (Dense)                   │ ?                      │   0 (unbuilt) │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ second (Dense)                  │ ?                      │   0 (unbuilt) │"""


@pytest.mark.feature("1B-6", "4J-110")
def test_mlp_table():
    assert "\n".join(summary_lines(mlp())) == MLP


@pytest.mark.feature("4J-109")
def test_two_layer_mnist_model_has_623290_parameters():
    model = Sequential(
        [
            layers.Input((784,)),
            layers.Dense(784, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    assert " Total params: 623,290 (2.38 MB)" in summary_lines(model)


def test_line_length_and_long_names():
    model = Sequential(
        [
            layers.Input((28, 28)),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="a_very_long_name_for_a_layer_indeed"),
        ],
        name="m",
    )
    assert "\n".join(summary_lines(model, line_length=60)) == NARROW


def test_without_a_line_length_no_name_is_cut():
    model = Sequential([layers.Input((4,)), layers.Dense(1, name="n" * 60)])
    assert any("n" * 60 in line for line in summary_lines(model))


def test_a_line_is_as_long_as_the_terminal_and_positions_allow(monkeypatch):
    for columns, length in (("60", 56), ("80", 76), ("300", 88)):
        monkeypatch.setenv("COLUMNS", columns)
        assert {len(line) for line in summary_lines(mlp())[1:-3]} == {length}
    rule = summary_lines(mlp(), 76, [0.3, 0.6, 0.8, 1.0])[1]
    assert [len(part) for part in rule[1:-1].split("┳")] == [27, 27, 18]
    with pytest.raises(ValueError, match="positions must have 3 values"):
        summary_lines(mlp(), positions=[0.5, 1.0])
    with pytest.raises(ValueError, match="widen the terminal"):
        summary_lines(mlp(), line_length=10)


@pytest.mark.feature("4C-22")
def test_unbuilt_model():
    model = Sequential([layers.Dense(3, name="first"), layers.Dense(1, name="second")])
    assert UNBUILT in "\n".join(summary_lines(model))


@pytest.mark.feature("4C-36")
def test_nested_models_and_frozen_layers():
    inner = Sequential(
        [layers.Input((10,)), layers.Dense(4, name="deep")], name="inner"
    )
    model = Sequential([layers.Input((10,)), inner, layers.Dropout(0.5, name="drop")])
    inner.trainable = False
    lines = summary_lines(model, expand_nested=True, show_trainable=True)
    cells = [
        [c.strip() for c in line.split("│")[1:-1]] for line in lines if "│" in line
    ]
    assert cells == [
        ["inner (Sequential)", "(None, 4)", "44", "N"],
        ["└ deep (Dense)", "(None, 4)", "44", "N"],
        ["drop (Dropout)", "(None, 4)", "0", "-"],
    ]
    assert " Non-trainable params: 44 (176.00 B)" in lines
    flat = summary_lines(model)
    assert not any("deep" in line for line in flat)


def test_layer_range():
    lines = summary_lines(mlp(), layer_range=["dense", "dense_1"])
    names = [line.split()[1] for line in lines if line.startswith("│")]
    assert names == ["dense", "dense_1"]
    with pytest.raises(ValueError, match="no layer 'x'"):
        summary_lines(mlp(), layer_range=["dense", "x"])


def test_optimizer_parameters_once_they_exist():
    model = mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert summary_lines(model)[-3:] == MLP.splitlines()[-3:]
    model.optimizer.build(model.trainable_weights)
    lines = summary_lines(model)
    assert lines[-4] == " Total params: 266,612 (1.02 MB)"
    assert lines[-1].startswith(" Optimizer params: 2 (")


@pytest.mark.feature("4C-28")
def test_subclassed_model():
    class Net(Model):
        def __init__(self):
            super().__init__(name="net")
            self.a = layers.Dense(3, name="a")
            self.blocks = [layers.Dense(2, name="b")]

        def call(self, inputs):
            return self.blocks[0](self.a(inputs))

    net = Net()
    net(np.zeros((7, 5)))
    rows = [line for line in summary_lines(net) if line.startswith("│")]
    assert [row.split() for row in rows] == [
        "│ a (Dense) │ (None, 3) │ 18 │".split(),
        "│ b (Dense) │ (None, 2) │ 8 │".split(),
    ]


def test_print_fn_gets_line_by_line():
    lines = []
    mlp().summary(print_fn=lines.append)
    assert "\n".join(lines) == MLP


def test_default_prints(capsys):
    mlp().summary()
    assert capsys.readouterr().out == MLP + "\n"


def test_streams_without_box_characters(monkeypatch):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    mlp().summary()
    stream.flush()
    text = raw.getvalue().decode("ascii")
    assert "| flatten (Flatten)" in text and "Total params: 266,610" in text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.00 B"), (1023, "1023.00 B"), (2493160, "2.38 MB"), (2**40, "1.00 TB")],
)
def test_sizes(size, text):
    assert format_bytes(size) == text
