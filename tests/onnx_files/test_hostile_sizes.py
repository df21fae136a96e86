# SPDX-License-Identifier: Apache-2.0
"""ONNX files that are small and want to be large: at most 2 x the file and 64 MiB."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from file_costs import measured

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from fastnn.errors import ModelFileError  # noqa: E402
from fastnn.onnx import import_model  # noqa: E402
from fastnn.onnx.importing.table import UnsupportedError  # noqa: E402


def model_of(nodes, tensors=(), inputs=("x",), shape=(2,)):
    graph = onnx.GraphProto(name="g", node=nodes, initializer=tensors)
    for name in inputs:
        graph.input.append(helper.make_tensor_value_info(name, 1, shape))
    graph.output.append(helper.make_tensor_value_info("y", 1, None))
    proto = onnx.ModelProto(ir_version=8, graph=graph)
    proto.opset_import.add(domain="", version=17)
    return proto


def node(op, given, found, **attributes):
    return helper.make_node(op, given, found, **attributes)


ABS = node("Abs", ["x"], ["y"])


def chain(count):
    names = ["x", *(f"{i:x}" for i in range(count - 1)), "y"]
    return model_of([node("Abs", [a], [b]) for a, b in pairwise(names)])


def many_inputs(count):
    return model_of([ABS], inputs=["x", *(f"i{i:x}" for i in range(count))])


def many_weights(count, size):
    more = {"data_type": 1, "dims": [size], "raw_data": bytes(4 * size)}
    return model_of([ABS], [TensorProto(name=f"w{i:x}", **more) for i in range(count)])


def many_branches(count, weights):
    """Each graph inside sees the names around it."""
    proto = many_weights(weights, 0)
    for i in range(count):
        one = proto.graph.node.add(op_type="If", input=["x"], output=[f"b{i:x}"])
        one.attribute.add(name="then_branch", type=5).g.output.add(name="x")
    return proto


def small_numbers(count):
    """A number takes a byte in the file where it is no raw data."""
    tensor = TensorProto(name="w", data_type=TensorProto.INT8, dims=[count])
    tensor.int32_data.extend([0] * count)
    return model_of([ABS], [tensor])


def long_attribute(count):
    proto = model_of([ABS])
    one = proto.graph.node[0].attribute.add(name="a", type=7)
    one.ints.extend([0] * count)
    return proto


def plain_weights(count, raw):
    tensor = TensorProto(name="w", data_type=1, dims=[count])
    if raw:
        tensor.raw_data = bytes(4 * count)
    else:
        tensor.float_data.extend(np.zeros(count, "f4"))
    return model_of([ABS], [tensor])


FILES = {
    "nodes": (lambda: chain(60_000), False),
    "fewer nodes": (lambda: chain(20_000), True),
    "inputs": (lambda: many_inputs(60_000), False),
    "fewer inputs": (lambda: many_inputs(20_000), True),
    "weights": (lambda: many_weights(100_000, 4), False),
    "fewer weights": (lambda: many_weights(20_000, 4), True),
    "branches": (lambda: many_branches(3000, 12_000), True),
    "numbers of a byte": (lambda: small_numbers(20_000_000), False),
    "integers of an attribute": (lambda: long_attribute(3_000_000), False),
    "raw data": (lambda: plain_weights(20_000_000, True), True),
    "floats": (lambda: plain_weights(10_000_000, False), True),
}


@pytest.mark.parametrize("name", FILES)
def test_what_becomes_of_a_file(name, tmp_path):
    make, sound = FILES[name]
    path = tmp_path / "m.onnx"
    path.write_bytes(make().SerializeToString())
    _check(path, sound)


def test_fields_that_nobody_knows_take_no_time(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(chain(1).SerializeToString() + b"\x28\x01" * 10_000_000)
    _check(path, False)


def _check(path, sound):
    outcome, seconds, grown = measured(lambda: import_model(path))
    assert grown < 2 * path.stat().st_size + (64 << 20)
    assert seconds < 10
    if sound:
        assert not isinstance(outcome, Exception), outcome
    else:
        assert isinstance(outcome, ModelFileError)
        assert "bytes of memory" in str(outcome)


def test_a_thousand_tensors_do_not_share_a_large_file(tmp_path):
    size = 1 << 20
    (tmp_path / "w.bin").write_bytes(bytes(size))
    tensors = []
    for i in range(3):
        tensor = TensorProto(name=f"w{i}", data_type=1, dims=[size // 4])
        tensor.data_location = 1
        tensor.external_data.add(key="location", value="w.bin")
        tensors.append(tensor)
    path = tmp_path / "m.onnx"
    path.write_bytes(model_of([ABS], tensors[:2]).SerializeToString())
    import_model(path, external_data=True)  # a weight may have two names
    path.write_bytes(model_of([ABS], tensors).SerializeToString())
    with pytest.raises(ModelFileError, match="more tensors lie in"):
        import_model(path, external_data=True)


def _constant(name, dtype, values):
    return helper.make_tensor(name, dtype, [len(values)], values)


ASKING = {
    "Upsample": [1.0, 1.0, 1e9, 1e9],
    "Resize": [1.0, 1.0, 1e9, 1e9],
    "OneHot": [1 << 40],
}


@pytest.mark.parametrize("op", ASKING)
def test_sizes_in_constants_are_limited(op, tmp_path):
    given = ASKING[op]
    kind = TensorProto.FLOAT if op != "OneHot" else TensorProto.INT64
    inputs = {"Resize": ["x", "", "c"], "OneHot": ["x", "c", "v"]}.get(op, ["x", "c"])
    tensors = [_constant("c", kind, given), _constant("v", 1, [0.0, 1.0])]
    proto = model_of([node(op, inputs, ["y"])], tensors, shape=(1, 1, 2, 2))
    proto.opset_import[0].version = 9 if op == "Upsample" else 17
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    model = import_model(path)
    with pytest.raises(UnsupportedError, match="at most"):
        model(np.ones((1, 1, 2, 2), "float32"))
