# SPDX-License-Identifier: Apache-2.0
"""Imported images keep their channels last between the ops that can, and are right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import ops

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from fastnn.onnx import import_model  # noqa: E402

LIGHT = Path(os.path.dirname(onnx.__file__)) / "backend/test/data/light"
# How often images are turned: once at the input, and once more before they become
# rows. A shuffle of channels is one move of its own: ShuffleNet has 16.
TURNS = {
    "bvlc_alexnet": 2,
    "densenet121": 1,
    "inception_v1": 1,
    "inception_v2": 1,
    "resnet50": 1,
    "shufflenet": 17,
    "squeezenet": 1,
    "vgg19": 2,
    "zfnet512": 2,
}


def with_weights(name):
    """The architecture, its constants replaced by random weights of a usual size."""
    proto = onnx.load(LIGHT / f"light_{name}.onnx")
    rng = np.random.default_rng(0)
    shapes = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for node in [n for n in proto.graph.node if n.op_type == "ConstantOfShape"]:
        shape = shapes[node.input[0]]
        if len(shape) > 1:
            fan = max(1, int(np.prod(shape[1:] if len(shape) > 2 else shape[:1])))
            array = rng.random(shape, "float32") * 2 - 1
            array *= np.float32(np.sqrt(6 / fan))
        else:  # scales and variances among them
            array = rng.random(shape, "float32") * np.float32(0.4) + np.float32(0.8)
        proto.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        proto.graph.node.remove(node)
    return proto


def turns(model, x):
    """How many transpositions of images are left in the model's graph."""
    traced = fastnn.function(lambda value: model(value))
    graph = traced.graph(ops.convert_to_tensor(x))
    made = {id(v) for node in graph.nodes for v in node.outputs}
    made |= {id(v) for v in graph.inputs}
    return sum(
        node.op.name == "transpose"
        and id(node.inputs[0]) in made
        and sum(n > 1 for n in node.inputs[0].shape[1:]) > 1
        for node in graph.nodes
    )


@pytest.mark.parametrize("name", TURNS)
def test_public_architectures_with_weights(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    proto = with_weights(name)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    runtime.set_default_logger_severity(3)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    model = import_model(path)
    x = np.random.default_rng(1).normal(size=(1, 3, 224, 224)).astype("float32")
    (expected,) = session.run(None, {session.get_inputs()[0].name: x})
    scale = abs(expected).max()
    assert np.ptp(expected) > 1e-4 * scale  # the weights make a difference
    np.testing.assert_allclose(model(x).numpy(), expected, atol=1e-5 * scale, rtol=0)
    predicted = model.predict(x, verbose=0)
    np.testing.assert_allclose(predicted, expected, atol=1e-5 * scale, rtol=0)
    assert turns(model, x) == TURNS[name]


# ---- ops one by one, on images kept last -------------------------------------------

X = np.random.default_rng(2).normal(size=(2, 3, 6, 5)).astype("float32")


def constant(name, array):
    whole = name in ("parts", "mixed", "joined")
    return numpy_helper.from_array(
        np.asarray(array, "int64" if whole else "float32"), name
    )


W = np.random.default_rng(3).normal(size=(4, 3, 1, 1))
CHANNEL, PLACE = np.arange(4).reshape(4, 1, 1), np.arange(5)
LAST = {
    "channels": (["Add", ["c", "w4"]], {}),
    "channels first": (["Mul", ["w4", "c"]], {}),
    "along rows": (["Sub", ["c", "row"]], {}),
    "scalar": (["Div", ["c", "two"]], {}),
    "more axes": (["Add", ["c", "five"]], {}),
    "slopes": (["PRelu", ["c", "w4"]], {}),
    "twice": (["Add", ["c", "c"]], {}),
    "with the input": (["Concat", ["c", "x"]], {"axis": 1}),
    "along a row": (["Concat", ["c", "c"]], {"axis": -1}),
    "of batches": (["Concat", ["c", "c"]], {"axis": 0}),
    "neighbours": (["LRN", ["c"]], {"size": 3}),
    "mean": (["GlobalAveragePool", ["c"]], {}),
    "largest": (["GlobalMaxPool", ["c"]], {}),
    "norm": (["GlobalLpPool", ["c"]], {"p": 2}),
    "softmax": (["Softmax", ["c"]], {"axis": 1}),
    "flat": (["Flatten", ["c"]], {"axis": 1}),
    "split": (["Reshape", ["c", "parts"]], {}),
    "split and turned": (["Reshape", ["c", "mixed"]], {}),
    "turned": (["Transpose", ["c"]], {"perm": [0, 2, 3, 1]}),
    "dropout": (["Dropout", ["c"]], {}),
    "reduced": (["ReduceMean", ["c"]], {"axes": [2], "keepdims": 0}),
    "batch": (["BatchNormalization", ["c", "v", "v", "v", "v"]], {}),
    "window": (["MaxPool", ["c"]], {"kernel_shape": [2, 2], "pads": [1, 0, 0, 0]}),
    "sums": (["LpPool", ["c"]], {"kernel_shape": [2, 2]}),
    "back": (["ConvTranspose", ["c", "t"]], {"strides": [2, 2]}),
}


@pytest.mark.parametrize("name", LAST)
def test_ops_on_images_kept_last(name, tmp_path):
    """The op behind a convolution; one output, and a mask or places beside it."""
    (op, inputs), attributes = LAST[name]
    two = op in ("Dropout", "MaxPool")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node(op, inputs, ["y", "more"][: 1 + two], **attributes),
        helper.make_node("Identity", ["y"], ["z"]),
    ]
    constants = {
        "w": W,
        "w4": CHANNEL,
        "row": PLACE,
        "two": 2.0,
        "v": np.arange(1, 5) / 2,
        "five": np.ones((1, 1, 1, 1, 1)),
        "t": W,
        "parts": [0, 2, -1, 6, 5],
        "mixed": [2, 2, 3, -1],
    }
    read = {"w", *inputs}
    kinds = {"z": TensorProto.FLOAT, "more": (TensorProto.INT64, TensorProto.BOOL)}
    kinds["more"] = kinds["more"][op == "Dropout"]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [
            helper.make_tensor_value_info(out, kinds[out], None)
            for out in ("z", "more")[: 1 + two]
        ],
        [constant(key, array) for key, array in constants.items() if key in read],
    )
    opsets = [helper.make_opsetid("", 17)]
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": X})
    model = import_model(path)
    for found in (model(X), model.predict(X, verbose=0)):
        for mine, theirs in zip(found if two else [found], expected, strict=True):
            mine = np.asarray(mine)
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("perm", "joined", "count"),
    [
        ([0, 2, 1, 3, 4], [0, -1, 6, 5], 3),  # at the ends, and the shuffle itself
        ([0, 2, 1, 3, 4], [2, 4, 30], 3),  # rows: the file's order is asked for
        ([0, 2, 1, 4, 3], [0, 4, 5, 6], 4),
        ([0, 1, 2, 3, 4], [0, 4, 6, 5], 4),
    ],
)
def test_a_shuffle_of_channels_moves_each_once(perm, joined, count, tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Reshape", ["c", "parts"], ["p"]),
        helper.make_node("Transpose", ["p"], ["q"], perm=perm),
        helper.make_node("Reshape", ["q", "joined"], ["r"]),
        helper.make_node("Relu", ["r"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constants = {"w": W, "parts": [0, 2, 2, 6, 5], "joined": joined}
    listed = [constant(key, array) for key, array in constants.items()]
    graph = helper.make_graph(nodes, "g", [given], [found], listed)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    images = np.einsum("oi,nihw->nohw", W[:, :, 0, 0], X).reshape(2, 2, 2, 6, 5)
    sizes = [2 if n == 0 else n for n in joined]
    expected = np.maximum(images.transpose(perm).reshape(sizes), 0)
    model = import_model(path)
    np.testing.assert_allclose(model(X).numpy(), expected, rtol=1e-5, atol=1e-5)
    assert turns(model, X) <= count
