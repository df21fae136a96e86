# SPDX-License-Identifier: Apache-2.0
"""Every layer of layer_cases.py as an ONNX file: ONNX Runtime, and the importer."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES
from layer_table import weight

from fastnn import Input, Model, layers, ops

onnx = pytest.importorskip("onnx")

from fastnn.onnx import export_model, import_model  # noqa: E402

# Rows that cannot be exported, and why: none.
NOT_EXPORTED: dict[str, str] = {}
TOLERANCE = 1e-5

# Public layers that have no row, and why.
NO_ROW = {
    "InputLayer": "an end of every row's model",
    "Layer": "computes nothing",
    "Wrapper": "computes nothing",
    "Lambda": "has a function of the user: test_layers_without_a_row",
    "RReLU": "Keras has none: test_layers_without_a_row",
}


def test_no_public_layer_is_left_out():
    """Rows have the layers that the package has, also those inside of wrappers."""
    public = {
        found.__name__
        for found in (getattr(layers, name) for name in dir(layers))
        if isinstance(found, type) and issubclass(found, layers.Layer)
    }
    used = set()
    for case in CASES:
        layer = case.make(layers)
        parts = [one for one in vars(layer).values() if isinstance(one, layers.Layer)]
        used |= {type(one).__name__ for one in (layer, *parts)}
    assert len(public) > 90
    assert public - used == set(NO_ROW)


class Exported:
    """A layer's case as a model, its file, and what it is asked about."""

    def __init__(self, case, path):
        rng = case.rng()
        layer = case.make(layers, dtype="float32")
        dtype = "int32" if case.classes else "float32"
        arrays = [a.astype(dtype) for a in case.inputs(rng)]
        layer.build(*case.arranged([(None, *a.shape[1:]) for a in arrays]))
        layer.set_weights([weight(rng, w.name, w.shape) for w in layer.weights])
        masks = case.drawn_masks()
        options = {k: v for k, v in case.keywords().items() if k != "training"}
        ends = [Input(a.shape[1:], dtype=dtype) for a in arrays]
        covers = {k: Input(m.shape[1:], dtype="bool") for k, m in masks.items()}
        y = layer(*case.arranged(ends), **covers, **options)
        self.model = Model([*ends, *covers.values()], y)
        self.inputs = [*arrays, *masks.values()]
        self.expected = self.model.predict(self.inputs, verbose=0)
        self.path = path
        export_model(self.model, path)

    def check(self, run) -> None:
        """`run(inputs)` is the model, for the batch of the case and twice that."""
        for times in (1, 2):
            inputs = [np.concatenate([a] * times) for a in self.inputs]
            expected = np.concatenate([self.expected] * times)
            found = run(inputs)
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@pytest.fixture(params=CASES, ids=lambda c: c.name)
def exported(request, tmp_path):
    case = request.param
    if case.name in NOT_EXPORTED:
        pytest.skip(NOT_EXPORTED[case.name])
    return Exported(case, tmp_path / "layer.onnx")


def test_file_is_valid_and_imports_as_the_same_model(exported):
    onnx.checker.check_model(onnx.load(exported.path), full_check=True)
    model = import_model(exported.path)
    exported.check(lambda inputs: model(inputs).numpy())
    found = model.predict(exported.inputs, verbose=0)
    np.testing.assert_allclose(found, exported.expected, rtol=0, atol=TOLERANCE)


def test_onnxruntime_computes_the_same(exported):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        exported.path.read_bytes(), providers=["CPUExecutionProvider"]
    )
    names = [end.name for end in session.get_inputs()]
    exported.check(lambda xs: session.run(None, dict(zip(names, xs, strict=True)))[0])


@pytest.mark.parametrize("name", ["Lambda", "RReLU"])
def test_layers_without_a_row(name, tmp_path):
    x = np.random.default_rng(2).normal(size=(5, 7)).astype("float32")
    layer = {
        "Lambda": lambda: layers.Lambda(lambda x: ops.tanh(x) * 3 + ops.flip(x, -1)),
        "RReLU": lambda: layers.RReLU(0.1, 0.5),
    }[name]()
    ends = Input((7,))
    model, path = Model(ends, layer(ends)), tmp_path / "m.onnx"
    expected = {
        "Lambda": np.tanh(x) * 3 + x[:, ::-1],
        "RReLU": np.where(x > 0, x, x * np.float32(0.3)),
    }[name]
    export_model(model, path)
    found = import_model(path).predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        path.read_bytes(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
