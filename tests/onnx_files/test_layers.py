# SPDX-License-Identifier: Apache-2.0
"""Every layer of layer_cases.py as an ONNX file: ONNX Runtime, and the importer."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES
from layer_table import weight

from fastnn import Input, Model, layers

onnx = pytest.importorskip("onnx")

from fastnn.onnx import export_model, import_model  # noqa: E402

# Rows that cannot be exported, and why: none.
NOT_EXPORTED: dict[str, str] = {}
TOLERANCE = 1e-5


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
