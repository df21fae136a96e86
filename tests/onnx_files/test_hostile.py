# SPDX-License-Identifier: Apache-2.0
"""ONNX files that lie: only ModelFileError, nothing outside of the folder is opened."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from fastnn import Input, Sequential, layers
from fastnn.errors import ModelFileError, ModelFileMissingError

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from fastnn.onnx import export_model, import_model  # noqa: E402
from fastnn.onnx.importing.table import UnsupportedError  # noqa: E402
from fastnn.onnx.importing.wire import DEPTH  # noqa: E402


def info(name, shape=(None,), dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes, *constants, opset=18, inputs=("x",), outputs=("y",)):
    graph = helper.make_graph(
        nodes, "g", [info(n) for n in inputs], [info(n) for n in outputs],
        initializer=list(constants),
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def external(location, **more):
    tensor = TensorProto(name="w", dims=[2], data_type=1, data_location=1)
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def raw(dims, size, kind=1):
    return TensorProto(name="w", dims=dims, data_type=kind, raw_data=b"\0" * size)


ADD = [helper.make_node("Add", ["x", "w"], ["y"])]
RELU = helper.make_node("Relu", ["x"], ["y"])


def nested(depth):
    body = helper.make_graph([RELU], "b", [], [info("y")])
    for _ in range(depth):
        node = helper.make_node("Scan", ["x"], ["y"], body=body)
        body = helper.make_graph([node], "b", [], [info("y")])
    return model_of(body.node)


def functions():
    proto = model_of([RELU])
    proto.functions.add(name="f", domain="d")
    return proto


def of_strings():
    proto = model_of([RELU])
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    return proto


WRONG = {
    "too few bytes": (model_of(ADD, raw([2], 7)), "7 bytes for 8"),
    "negative size": (model_of(ADD, raw([-2], 8)), "shape"),
    "huge shape": (model_of(ADD, raw([1 << 40, 1 << 40], 8)), "elements"),
    "unknown dtype": (model_of(ADD, raw([2], 8, 99)), "type"),
    "strings": (of_strings(), "STRING"),
    "unknown op": (model_of([helper.make_node("Evil", ["x"], ["y"])]), "Evil"),
    "other domain": (
        model_of([helper.make_node("Relu", ["x"], ["y"], domain="com.x")]),
        "com.x.Relu",
    ),
    "unknown name": (model_of([helper.make_node("Relu", ["z"], ["y"])]), "'z'"),
    "given twice": (model_of([RELU, RELU]), "once more"),
    "no output": (model_of([helper.make_node("Relu", ["x"], ["z"])]), "'y'"),
    "cycle": (
        model_of(
            [
                helper.make_node("Relu", ["z"], ["y"]),
                helper.make_node("Relu", ["y"], ["z"]),
            ]
        ),
        "before it is given",
    ),
    "old opset": (model_of([RELU], opset=3), "opset 3"),
    "new opset": (model_of([RELU], opset=99), "opset 99"),
    "functions": (functions(), "functions"),
    "deep": (nested(DEPTH), "deep"),
    "external": (model_of(ADD, external("weights.bin")), "external_data=True"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_refused(name, tmp_path):
    proto, message = WRONG[name]
    path = tmp_path / "wrong.onnx"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(ModelFileError, match=message) as error:
        import_model(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "/etc/hostname",
        "",
        "link.bin",
        "sub/../../secret.bin",
        "no.bin",
    ],
)
def test_weights_come_from_the_same_folder_only(location, tmp_path):
    (tmp_path / "secret.bin").write_bytes(np.ones(2, "float32").tobytes())
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = folder / "m.onnx"
    path.write_bytes(model_of(ADD, external(location)).SerializeToString())
    with pytest.raises(ModelFileError):
        import_model(path, external_data=True)


def test_weights_in_another_file(tmp_path):
    (tmp_path / "w.bin").write_bytes(np.arange(5, dtype="float32").tobytes())
    path = tmp_path / "m.onnx"
    proto = model_of(ADD, external("w.bin", offset=4, length=8))
    path.write_bytes(proto.SerializeToString())
    model = import_model(path, external_data=True)
    np.testing.assert_array_equal(model(np.zeros(2, "float32")).numpy(), [1, 2])
    for more in ({"offset": 16}, {"offset": -4}, {"length": 4}, {"offset": "a"}):
        path.write_bytes(model_of(ADD, external("w.bin", **more)).SerializeToString())
        with pytest.raises(ModelFileError):
            import_model(path, external_data=True)


def test_many_empty_messages_are_refused_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "many.onnx"
    empty = b"\x0a\x00" * 500_000  # nodes without anything
    size = len(empty)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14])
    path.write_bytes(b"\x3a" + length + empty)
    with pytest.raises(ModelFileError, match="parts"):
        import_model(path)


def packed(count, number, dtype):
    """A tensor with `count` times the bytes of one number as its int32_data."""
    length, size = count * len(number), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    data = b"\x2a" + size + bytes([length]) + number * count
    tensor = TensorProto.FromString(data)
    tensor.MergeFrom(TensorProto(name="w", dims=[count], data_type=dtype))
    return tensor


def test_large_weights_of_16_bit_floats_are_read_from_numbers(tmp_path):
    path = tmp_path / "half.onnx"
    tensor = packed(7_000_000, b"\x80\x78", TensorProto.FLOAT16)  # 1.0, 0x3c00
    nodes = [
        helper.make_node("Cast", ["w"], ["v"], to=1),
        helper.make_node("Add", ["x", "v"], ["y"]),
    ]
    path.write_bytes(model_of(nodes, tensor).SerializeToString())
    y = import_model(path)(np.ones(1, "float32")).numpy()
    assert y.shape == (7_000_000,) and y.min() == y.max() == 2


def test_many_numbers_of_one_byte_are_refused(tmp_path):
    path = tmp_path / "ones.onnx"
    tensor = packed(14_000_000, b"\x01", TensorProto.FLOAT16)
    path.write_bytes(model_of(ADD, tensor).SerializeToString())
    with pytest.raises(ModelFileError, match="parts"):
        import_model(path)


def test_shapes_that_a_file_asks_for_are_limited(tmp_path):
    path = tmp_path / "large.onnx"
    shape = helper.make_tensor("s", TensorProto.INT64, [2], [1 << 30, 1 << 30])
    for op in ("ConstantOfShape", "Expand"):
        inputs = ["s"] if op == "ConstantOfShape" else ["x", "s"]
        nodes = [helper.make_node(op, inputs, ["y"])]
        path.write_bytes(model_of(nodes, shape).SerializeToString())
        with pytest.raises(UnsupportedError, match="at most"):
            import_model(path)(np.ones(1, "float32"))


def test_missing_file(tmp_path):
    with pytest.raises(ModelFileMissingError, match="no such file"):
        import_model(tmp_path / "none.onnx")


WINDOWS = {
    "Conv": {"pads": [10**9, 0, 10**9, 0]},
    "ConvTranspose": {"strides": [10**9, 10**9]},
    "MaxPool": {"kernel_shape": [2, 2], "pads": [10**9, 0, 10**9, 0]},
    "AveragePool": {"kernel_shape": [2, 2], "dilations": [10**9, 1]},
    "LpPool": {"kernel_shape": [2, 2], "pads": [10**9, 0, 10**9, 0]},
}


@pytest.mark.parametrize("op", WINDOWS)
def test_windows_of_any_size_are_not_made(op, tmp_path):
    """Pads and strides are numbers in the file: they make images of terabytes."""
    inputs = ["x", "w"] if op.startswith("Conv") else ["x"]
    node = helper.make_node(op, inputs, ["y"], **WINDOWS[op])
    weights = [raw([2, 2, 2, 2], 64)] if len(inputs) > 1 else []
    proto = model_of([node], *weights)
    proto.graph.input[0].CopyFrom(info("x", (1, 2, 4, 4)))
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    model = import_model(path)
    began = time.perf_counter()
    with pytest.raises(UnsupportedError, match="at most"):
        model(np.ones((1, 2, 4, 4), "float32"))
    assert time.perf_counter() - began < 10


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    path = tmp_path_factory.mktemp("seed") / "seed.onnx"
    model = Sequential(
        [
            Input((6, 4)),
            layers.Conv1D(3, 2, activation="relu"),
            layers.LSTM(3, return_sequences=True),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    export_model(model, path)
    return path.read_bytes()


def test_every_truncation_is_refused(seed, tmp_path):
    path = tmp_path / "cut.onnx"
    for end in range(0, len(seed) - 1, 7):
        path.write_bytes(seed[:end])
        with pytest.raises(ModelFileError):
            import_model(path)


def test_changed_bytes_raise_only_model_file_errors(seed, tmp_path):
    path = tmp_path / "changed.onnx"
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(1500):
        data = bytearray(seed)
        for place in rng.integers(0, len(data), rng.integers(1, 6)):
            data[place] = rng.integers(0, 256)
        path.write_bytes(bytes(data))
        start = time.perf_counter()
        try:
            import_model(path)
        except ModelFileError:
            refused += 1
        assert time.perf_counter() - start < 10
    assert refused > 300


def test_reading_opens_nothing_else(seed, tmp_path):
    path = tmp_path / "seed.onnx"
    path.write_bytes(seed)
    import_model(path)  # everything is imported
    seen: list[tuple[str, str]] = []
    active = True

    def hook(event, arguments):
        if active and event in ("open", "socket.connect", "subprocess.Popen", "exec"):
            seen.append((event, str(arguments[0])))

    sys.addaudithook(hook)
    import_model(path)
    active = False
    assert seen == [("open", str(path))]
