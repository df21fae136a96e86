# SPDX-License-Identifier: Apache-2.0
"""Products with an epilogue as calls of cuBLASLt, which a stand-in takes literally."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest
from cuda_emulated import EPILOGUES, EmulatedDevice, matrix, view
from cuda_fake_cublas import installed

import fastnn
from fastnn.backends.cuda import cublaslt, rules
from fastnn.backends.cuda.cublas import Factor
from fastnn.backends.cuda.launches import Operand, Product, dense
from fastnn.errors import BackendError
from fastnn.opset import get_op


class Lt:
    """The functions of cublasLt.h, in memory of the host; `calls` has their names."""

    def __init__(self, algorithms=1):
        self.calls, self.objects, self.algorithms = [], {}, algorithms

    def _made(self, to, thing):
        self.objects[len(self.objects) + 1] = thing
        to._obj.value = len(self.objects)
        return 0

    def __getattr__(self, name):
        if not name.startswith("cublasLt"):
            raise AttributeError(name)
        function = getattr(Lt, f"_{name[8:]}")

        def call(*arguments):
            self.calls.append(name[8:])
            return function(self, *arguments)

        return call

    def _Create(self, handle):
        return self._made(handle, "handle")

    def _MatmulPreferenceCreate(self, preference):
        return self._made(preference, {})

    def _MatmulPreferenceSetAttribute(self, preference, attribute, value, size):
        sizes = {1: 8, 3: 4}  # uint64_t, uint32_t
        assert size.value == sizes[attribute]
        self.objects[preference.value][attribute] = value._obj.value
        return 0

    def _MatmulDescCreate(self, operation, compute, scale):
        return self._made(operation, {"compute": compute.value, "scale": scale.value})

    def _MatmulDescSetAttribute(self, operation, attribute, value, size):
        sizes = {3: 4, 4: 4, 7: 4, 8: 8}  # int32_t twice, uint32_t, a pointer
        assert size.value == sizes[attribute]
        self.objects[operation.value][attribute] = value._obj.value
        return 0

    def _MatrixLayoutCreate(self, layout, kind, rows, columns, leading):
        values = kind.value, rows.value, columns.value, leading.value
        assert values[3] >= values[1], "the library refuses it"
        return self._made(layout, values)

    def _MatmulAlgoGetHeuristic(
        self, handle, operation, a, b, c, d, preference, wanted, found, count
    ):
        given = self.objects[preference.value]
        assert given == {1: cublaslt.WORKSPACE, 3: 2}, "no atomics, no 16-bit sums"
        found._obj.algo[:] = range(8)
        found._obj.workspace, found._obj.state = 1024, 0
        count._obj.value = self.algorithms
        return 0

    def _Matmul(
        self, handle, operation, alpha, a, of_a, b, of_b, beta, c, of_c, d, of_d,
        algorithm, workspace, size, stream
    ):  # fmt: skip
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        assert list(algorithm._obj) == list(range(8))
        assert (size.value, workspace.value, stream.value) == (1024, 4096, 99)
        assert c.value == d.value
        said = self.objects[operation.value]
        assert said["scale"] == 0
        kind, rows, columns, leading = self.objects[of_d.value]
        left = self._stored(a, of_a, said[3])
        right = self._stored(b, of_b, said[4])
        bias = (ctypes.c_char * (rows * 8)).from_address(said[8])
        to = matrix(Factor(d.value, kind, 0, leading, 0), 0, rows, columns)
        added = np.frombuffer(bias, to.dtype, rows).astype("float32")
        wide = left.astype("float32") @ right.astype("float32") + added[:, None]
        names = {value: name for name, value in cublaslt.EPILOGUES.items()}
        to[...] = EPILOGUES[names[said[7]]](wide)
        return 0

    def _stored(self, pointer, layout, transposed):
        kind, rows, columns, leading = self.objects[layout.value]
        found = matrix(Factor(pointer.value, kind, 0, leading, 0), 0, rows, columns)
        return found.T if transposed else found


LAYOUTS = {
    "dense": ((4, 1), (3, 1)),
    "x turned": ((1, 5), (3, 1)),
    "w turned": ((4, 1), (1, 4)),
    "rows apart": ((9, 1), (7, 1)),
}


@pytest.mark.parametrize("then", cublaslt.EPILOGUES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_library_is_asked_for_the_layer(layout, dtype, then) -> None:
    device, rng = EmulatedDevice(), np.random.default_rng(0)
    kept = []

    def placed(shape, strides):
        kept.append(device.allocate(400))
        x = Operand(kept[-1].address, dtype, shape, strides)
        view(x)[...] = rng.normal(size=shape)
        return x

    x, w = placed((5, 4), LAYOUTS[layout][0]), placed((4, 3), LAYOUTS[layout][1])
    bias, y = placed((3,), (1,)), placed((5, 3), (3, 1))
    lib = Lt()
    own = cublaslt.BlasLt(lib, 4096)
    run = own.prepare(cublaslt.fused_call(Product(x, w, y, bias, then)))
    assert "Matmul" not in lib.calls, "nothing runs before it is asked for"
    run(99)
    wide = [view(o).astype("float64") for o in (x, w, bias)]
    expected = wide[0] @ wide[1] + wide[2]
    if then == "relu":
        expected = np.maximum(expected, 0)
    elif then == "gelu_tanh":  # by the logistic function
        slope = np.sqrt(8 / np.pi) * (expected + 0.044715 * expected**3)
        expected = expected / (1 + np.exp(-slope))
    tolerance = 1e-6 if dtype == "float32" else 2**-8
    found = view(y).astype("float64")
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    assert lib.calls == [
        "Create",
        "MatmulPreferenceCreate",
        *["MatmulPreferenceSetAttribute"] * 2,
        "MatmulDescCreate",
        *["MatmulDescSetAttribute"] * 4,
        *["MatrixLayoutCreate"] * 3,
        "MatmulAlgoGetHeuristic",
        "Matmul",
    ]
    device.execute([Product(x, w, y, bias, then)])  # what other tests take it for
    np.testing.assert_allclose(
        view(y).astype("float64"), expected, rtol=2 * tolerance, atol=2 * tolerance
    )


def test_shapes_that_the_library_has_no_algorithm_for_are_an_error() -> None:
    x = dense(4096, "float32", (2, 2))
    own = cublaslt.BlasLt(Lt(algorithms=0), 4096)
    with pytest.raises(BackendError, match="no algorithm"):
        own.prepare(cublaslt.fused_call(Product(x, x, x, x)))


def tasks(activation, dtype="float32", bias_strides=(1,)):
    """Of a layer of 6 rows, 4 inputs and 3 units."""
    x, w, y = (dense(4096, dtype, s) for s in ((6, 4), (4, 3), (6, 3)))
    bias = Operand(4096, dtype, (3,), bias_strides)
    attrs = (activation, 1.0)
    scratch = lambda nbytes: 1 << 20  # noqa: E731
    call = rules.Call(get_op("linear"), (x, w, bias), (y,), attrs, scratch, lambda: 0)
    return rules.tasks(call)


def test_products_are_fused_where_the_table_or_the_user_says_so(monkeypatch) -> None:
    shape = cublaslt.Shape("float32", 6, 3, 4, "relu")
    monkeypatch.setattr(cublaslt, "table", {shape: True})
    (fused,) = tasks("relu")
    assert fused.bias is not None
    assert fused.then == "relu"
    assert len(tasks("linear")) == 2, "not measured"
    assert len(tasks("relu", "bfloat16")) == 2
    monkeypatch.setenv("FASTNN_CUBLASLT", "0")
    assert len(tasks("relu")) == 2
    monkeypatch.setenv("FASTNN_CUBLASLT", "1")
    assert len(tasks("linear", "bfloat16")) == 1
    assert len(tasks("tanh")) == 2, "cuBLASLt has no such epilogue"
    assert len(tasks("gelu")) == 2
    assert len(tasks("gelu_tanh")) == 2, "its numbers were not compared here"
    compared = cublaslt.Shape("float32", 6, 3, 4, "gelu_tanh")
    monkeypatch.setitem(cublaslt.table, compared, True)
    assert len(tasks("gelu_tanh")) == 1
    assert len(tasks("relu", "float64")) == 2
    assert len(tasks("relu", bias_strides=(2,))) == 2


def test_a_model_with_fused_products_trains_alike(monkeypatch) -> None:
    from fastnn.backends.cuda import device as devices

    device = EmulatedDevice()
    monkeypatch.setattr(devices, "device", lambda index: device)
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(24, n)).astype("float32") for n in (7, 3))

    def trained():
        fastnn.utils.set_random_seed(1)
        units = [fastnn.layers.Dense(5, "relu"), fastnn.layers.Dense(3)]
        model = fastnn.Sequential([fastnn.Input((7,)), *units])
        model.compile("sgd", "mse")
        with fastnn.device("gpu:0"):
            model.fit(x, y, 8, 2, verbose=0)
            plan = model.plan().summary()
        return model.get_weights(), plan

    expected, plain = trained()
    monkeypatch.setenv("FASTNN_CUBLASLT", "1")
    found, fused = trained()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert "bias_then" in plain
    assert "bias_then" not in fused
    assert "+ bias, relu" in fused


def test_numbers_are_those_of_the_header() -> None:
    text = installed("*/include/cublasLt.h").read_text()

    def value(name):
        (found,) = re.findall(rf"^\s*CUBLASLT_{name} = (\S+),$", text, re.M)
        return int(found, 0)

    assert value("MATMUL_DESC_TRANSA") == cublaslt.DESC_TRANSA
    assert value("MATMUL_DESC_TRANSB") == cublaslt.DESC_TRANSB
    assert value("MATMUL_DESC_EPILOGUE") == cublaslt.DESC_EPILOGUE
    assert value("MATMUL_DESC_BIAS_POINTER") == cublaslt.DESC_BIAS_POINTER
    assert value("MATMUL_PREF_MAX_WORKSPACE_BYTES") == 1
    assert value("MATMUL_PREF_REDUCTION_SCHEME_MASK") == 3
    assert value("REDUCTION_SCHEME_COMPUTE_TYPE") == cublaslt.REDUCTION_SCHEMES
    assert value("EPILOGUE_BIAS") == cublaslt.EPILOGUES["linear"]
    both = value("EPILOGUE_RELU") | value("EPILOGUE_BIAS")
    assert both == cublaslt.EPILOGUES["relu"]
    gelu = value("EPILOGUE_GELU") | value("EPILOGUE_BIAS")
    assert gelu == cublaslt.EPILOGUES["gelu_tanh"]
    assert ctypes.sizeof(cublaslt.Heuristic) == 64 + 8 + 4 + 4 + 16


def test_the_library_itself_takes_the_descriptors() -> None:
    """They need no device; the heuristics do."""
    lib = ctypes.CDLL(str(installed("*/lib/libcublasLt.so.*")))
    own = object.__new__(cublaslt.BlasLt)
    own._lib = lib
    x = dense(1 << 20, "bfloat16", (64, 32))
    fused = cublaslt.fused_call(
        Product(
            x, dense(1 << 20, "bfloat16", (32, 16)), dense(0, "bfloat16", (64, 16)), x
        )
    )
    made = own._operation(fused)
    got, size = ctypes.c_uint32(), ctypes.c_size_t()
    status = lib.cublasLtMatmulDescGetAttribute(
        made, cublaslt.DESC_EPILOGUE, ctypes.byref(got), ctypes.c_size_t(4), size
    )
    assert (status, got.value) == (0, 4)
    assert own._layout(fused.gemm.a, 16, 32).value


def test_what_was_measured_is_kept_for_devices_of_a_kind(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FASTNN_CUDA_CACHE", str(tmp_path / "new"))
    monkeypatch.setattr(cublaslt, "table", {})
    cublaslt.read_table("sm_90")
    assert cublaslt.table == {}
    shape = cublaslt.Shape("bfloat16", 4096, 4096, 4096, "relu")
    cublaslt.table[shape] = True
    cublaslt.write_table("sm_90")
    cublaslt.table.clear()
    cublaslt.read_table("sm_80")
    assert not cublaslt.takes(shape)
    cublaslt.read_table("sm_90")
    assert cublaslt.takes(shape)
