# SPDX-License-Identifier: Apache-2.0
"""Convolutions by cuDNN: what is asked of it, and what a stand-in makes of that."""

from __future__ import annotations

import ctypes
import gc
import re
from importlib.util import find_spec
from pathlib import Path

import cuda_parity as parity
import numpy as np
import pytest
from cuda_emulated import EmulatedDevice, convolve
from op_cases import OPS, assert_close, narrowed, reference, widens

import fastnn
from fastnn.backends.cuda import cudnn, measured
from fastnn.backends.cuda import device as devices
from fastnn.backends.cuda.arrays import uploaded
from fastnn.backends.cuda.launches import Convolution, Launch, Operand, dense
from fastnn.backends.cuda.rules import conv_ways
from fastnn.errors import BackendError

NAMES = ("conv", "conv_transpose", "conv_grad_input", "conv_grad_kernel")
EXECUTE_FAILED, UNSUPPORTED = 5000, 3000


class Dnn:
    """The functions of cudnn_graph.h, in memory of the host.

    Attributes:
        engines: by ranking, notes of what is ranked; one named None has no plan.
        put: where work goes, by stream.
    """

    def __init__(self, put=lambda stream, work: work()):
        self.engines = {3: [[4], [5], [1, 0], None, [], [0]], 2: [[]]}
        self.put, self.objects, self.status = put, {}, 0
        self.taken = self.stream = None

    def __getattr__(self, name):
        if not name.startswith("cudnn"):
            raise AttributeError(name)
        function = getattr(Dnn, f"_{name[5:]}")

        def call(*arguments):
            return function(self, *arguments)

        setattr(self, name, call)
        return call

    def _Create(self, handle):
        handle._obj.value = 77
        return self.status

    def _GetErrorString(self, status):
        return b"CUDNN_STATUS_OF_THE_TEST"

    def _GetLastErrorString(self, text, size):
        text.value = b"as the library says it"

    def _SetStream(self, handle, stream):
        assert handle.value == 77
        self.stream = stream
        return 0

    def _BackendCreateDescriptor(self, kind, to):
        to._obj.value = 1000 + len(self.objects)
        self.objects[to._obj.value] = {"kind": kind, "final": False}
        return 0

    def _BackendDestroyDescriptor(self, at):
        self.objects[at.value]["kind"] = "destroyed"
        return 0

    def _BackendSetAttribute(self, at, name, of, count, array):
        made = self.objects[at.value]
        assert not made["final"]
        assert isinstance(array, ctypes.Array)
        assert array._type_ is cudnn.C_TYPES[of]
        assert len(array) == count
        if of == cudnn.DESCRIPTOR:
            assert all(self.objects[x]["final"] for x in array)
        made[name] = list(array)
        return 0

    def _BackendFinalize(self, at):
        made = self.objects[at.value]
        made["final"] = True
        if made["kind"] == cudnn.PLAN and self._notes(made[401][0]) is None:
            return UNSUPPORTED
        return 0

    def _notes(self, config):
        return self.objects[config]["notes"]

    def _BackendGetAttribute(self, at, name, of, most, count, array):
        made = self.objects[at.value]
        if name == 202:  # engines of a ranking, into descriptors that are there
            found = self.engines[made[200][0]]
            for config, notes in zip(array, found, strict=False):
                self.objects[config] |= {"notes": notes, "graph": made[201][0]}
                self.objects[config]["final"] = True
        elif name == 300:
            self.objects[array[0]] |= {"notes": made["notes"]}
            found = array
        elif name == 1303:
            found = made["notes"] or []
            array[: len(found)] = found
        else:
            assert name == 402
            found = [4096]
            array[0] = 4096
        count._obj.value = len(found)
        return 0

    def _BackendExecute(self, handle, plan, pack):
        plan, pack = self.objects[plan.value], self.objects[pack.value]
        assert plan["kind"] == cudnn.PLAN
        assert pack["kind"] == cudnn.PACK
        assert plan[400] == [77]
        places = dict(zip(pack[1000], pack[1001], strict=True))
        config = self.objects[plan[401][0]]
        self.taken = config["notes"]
        (operation,) = self.objects[config["graph"]][801]
        task = self._task(self.objects[operation], places)
        self.put(self.stream, lambda: convolve(task))
        return self.status

    def _task(self, operation, places):
        """What the descriptors say, in our words."""
        written, side = next(
            (k, s) for k, s in cudnn.SIDES.items() if s.kind == operation["kind"]
        )
        assert operation[side.alpha] == [1]
        assert operation[side.alpha + 1] == [0]
        window = self.objects[operation[side.convolution][0]]
        assert window[100] == [0], "summed in float32"
        assert window[101] == [cudnn.CROSS_CORRELATION]
        assert window[106] == [len(window[103])]
        ends = (side.x, side.w, side.y)
        x, w, y = (self._tensor(operation[name][0], places) for name in ends)
        before_after = window[105], window[104]
        sizes = (tuple(v) for v in (window[103], window[102], *before_after))
        return Convolution(x, w, y, written, *sizes, rounded=False)

    def _tensor(self, at, places):
        said = self.objects[at]
        (address,) = (places[said[906][0]],)
        assert address % said[900][0] == 0
        order = [0, *range(2, len(said[902])), 1]  # channels are the second there
        shape, strides = ([said[k][i] for i in order] for k in (902, 903))
        types = {v: k for k, v in cudnn.DATA_TYPES.items()}
        found = Operand(address, types[said[901][0]], tuple(shape), tuple(strides))
        assert found == dense(address, found.dtype, shape)
        return found


# x, kernel, outputs, strides, dilations, low and high pads, groups: a line, a volume,
# groups, zeros on one side, pixels that no window reaches.
SHAPES = (
    ((2, 7, 3), (3,), 5, (1,), (2,), (4, 0), 1),
    ((1, 3, 4, 5, 2), (2, 3, 2), 3, (1, 2, 1), (1, 1, 2), (1, 1, 1, 0, 1, 1), 1),
    ((2, 5, 6, 6), (2, 3), 9, (2, 1), (1, 2), (0, 2, 1, 2), 3),
    ((2, 6, 7, 3), (3, 3), 17, (2, 2), (1, 1), (0, 1, 1, 1), 1),
    ((2, 5, 5, 3), (1, 2), 4, (3, 3), (1, 1), (0, 0, 0, 0), 1),
)
CROPPED = ((17, 3, 2, 2), (2, 2), 3, (1, 1), (1, 1), (-1, 1, 0, 0), 1)
DEVICE = EmulatedDevice()


def samples(name, shapes=SHAPES):
    """With few activations: each is a kernel of its own behind the convolution."""
    found = OPS[name].samples(np.random.default_rng(3), "float32", shapes)
    return [s for s in found if not {"sigmoid", "tanh", "gelu", "silu"} & set(s.attrs)]


def made(name, dtype, device=DEVICE, shapes=SHAPES):
    """The samples by cuDNN, in a device that is prepared."""
    half = dtype in parity.HALVES
    given = (narrowed(s, dtype) if half else s for s in samples(name, shapes))
    with conv_ways.prefer(conv_ways.CUDNN):
        found = [parity.make(name, dtype, sample, device) for sample in given]
    tasks = [t for case in found for t in case.tasks]
    device.prepare([t for t in tasks if isinstance(t, Launch)])
    return found


def convolutions(case):
    return [t for t in case.tasks if isinstance(t, Convolution)]


@pytest.mark.parametrize("name", NAMES)
def test_float32_is_the_reference(name) -> None:
    op = OPS[name]
    found = made(name, "float32")
    assert len(found) >= len(SHAPES)
    for case in found:
        assert len(convolutions(case)) == 1, case.message
        expected = reference(op, case.sample, widen=widens(op))
        for a, e in zip(case.run(DEVICE), expected, strict=True):
            assert_close(a, e, op, case.message)


@pytest.mark.parametrize("name", NAMES)
def test_16_bit_floats_are_rounded_before_bias_and_activation(name) -> None:
    for case in made(name, "bfloat16", shapes=SHAPES[:1]):
        expected = reference(OPS[name], parity.widened(case.sample))
        for a, e in zip(case.run(DEVICE), expected, strict=True):
            wide = a.astype("float64"), np.asarray(e, "float64")
            np.testing.assert_allclose(*wide, rtol=2**-8, atol=2**-7)


def test_what_cudnn_cannot_be_told_goes_another_way() -> None:
    def taken(name, dtype, shape):
        cases = made(name, dtype, shapes=(shape,))
        return any(convolutions(case) for case in cases)

    assert taken("conv", "float32", SHAPES[0])
    assert not taken("conv", "float32", CROPPED)
    nothing = (0, *SHAPES[0][0][1:])
    assert not taken("conv_grad_kernel", "float32", (nothing, *SHAPES[0][1:]))


# ---- the library ---------------------------------------------------------------------


@pytest.fixture
def library(machine, monkeypatch):
    """cuDNN of a machine."""
    made = Dnn(lambda stream, work: machine.streams[stream].put("conv", work))
    monkeypatch.setattr(cudnn, "load", lambda: made)
    return made


def task(device, written, dtype="float32"):
    """A convolution of arrays of a device; the array that is written, and how its
    values come out.
    """
    rng = np.random.default_rng(0)
    shapes = {"x": (2, 5, 6, 3), "w": (4, 3, 2, 3), "y": (2, 3, 6, 4)}
    given = {k: rng.normal(size=s).astype(dtype) for k, s in shapes.items()}
    there = {k: uploaded(device, v) for k, v in given.items()}
    ends = (there[k].operand for k in "xwy")
    how = (2, 1), (1, 1), (1, 0), (1, 1), False
    conv = Convolution(*ends, written, *how)
    expected = EmulatedDevice()
    here = {k: uploaded(expected, v) for k, v in given.items()}
    expected.execute([Convolution(*(here[k].operand for k in "xwy"), written, *how)])
    return conv, there, here[written].download()


@pytest.mark.parametrize("written", ["x", "w", "y"])
def test_the_library_is_told_the_convolution_and_captured(written, library) -> None:
    device = devices.device()
    conv, there, expected = task(device, written)
    run = device.program([conv])
    assert library.stream is None, "nothing runs before it is asked for"
    run(devices.WARM_UPS + devices.STEPS_TOGETHER + 1)
    run(40)
    np.testing.assert_allclose(there[written].download(), expected, 1e-6, 1e-6)
    assert library.taken == [], "exact, in one order, and with a plan"


def test_a_plan_is_made_once_wherever_the_data_lie(library) -> None:
    device = devices.device()
    for _ in range(3):
        conv, there, expected = task(device, "y")
        device.execute([conv])
        np.testing.assert_allclose(there["y"].download(), expected, 1e-6, 1e-6)
    kinds = [made["kind"] for made in library.objects.values()]
    assert kinds.count(cudnn.GRAPH) == 1


def test_tensor_cores_are_taken_where_floats_may_be_rounded(library) -> None:
    device = devices.device()
    conv, _, _ = task(device, "y")
    device.execute([conv._replace(rounded=True)])
    assert library.taken == []
    library.engines[3].insert(3, [0])
    device._dnn._plans.clear()
    device.execute([conv])
    assert library.taken == []
    device.execute([conv._replace(rounded=True)])
    assert library.taken == [0]


def test_descriptors_live_as_long_as_the_plan(library) -> None:
    device = devices.device()
    conv, _, _ = task(device, "y")
    device.execute([conv])
    kinds = [made["kind"] for made in library.objects.values()]
    for kind in (cudnn.TENSOR, cudnn.CONVOLUTION, cudnn.FORWARD, cudnn.GRAPH):
        assert kind in kinds, "the plan may ask for it"
    assert "destroyed" in kinds, "engines that were not taken"
    device._dnn._plans.clear()
    gc.collect()
    left = {made["kind"] for made in library.objects.values()}
    assert left == {"destroyed"}


def test_no_engine_is_an_error_that_says_what_to_do(library) -> None:
    library.engines = {3: [[4]], 2: [None]}
    conv, _, _ = task(devices.device(), "y")
    with pytest.raises(BackendError, match=r"no engine .*FASTNN_CUDNN=0"):
        devices.device().execute([conv])


def test_what_the_library_says_is_told(library) -> None:
    library.status = EXECUTE_FAILED
    conv, _, _ = task(devices.device(), "y")
    with pytest.raises(BackendError, match="cudnnCreate failed: CUDNN_STATUS") as told:
        devices.device().execute([conv])
    assert "as the library says it" in str(told.value)


def test_a_machine_without_the_library_is_told_what_brings_it(monkeypatch) -> None:
    monkeypatch.setattr(cudnn, "SONAME", "libno_such_thing.so.9")
    cudnn.load.cache_clear()
    assert not cudnn.installed()
    with pytest.raises(BackendError, match="pip install nvidia-cudnn-cu13"):
        cudnn.load()


# ---- which way -----------------------------------------------------------------------


def chosen(**options):
    """The way of a convolution that all can compute."""
    x, w = (dense(4096, "float32", s) for s in ((2, 6, 6, 8), (3, 3, 8, 8)))
    numbers = (1, 6, 6, 1, 4, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 8, 8)
    return numbers, conv_ways.way("Forward", (x, w), numbers, 32, 72)


def test_the_fastest_way_that_was_measured_is_taken(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("FASTNN_CUDA_CACHE", str(tmp_path))
    monkeypatch.setattr(conv_ways, "table", {})
    numbers, before = chosen()
    assert before == conv_ways.TILED, "nothing was measured"
    shape = conv_ways.shape_of("Forward", "float32", numbers)
    conv_ways.table[shape] = conv_ways.GENERAL
    conv_ways.write_table("sm_90")
    conv_ways.table.clear()
    conv_ways.read_table("sm_80")
    assert chosen()[1] == conv_ways.TILED
    conv_ways.read_table("sm_90")
    assert chosen()[1] == conv_ways.GENERAL
    fastnn.config.set_float32_matmul_precision("high")
    try:
        assert chosen()[1] == conv_ways.TILED, "measured exact"
    finally:
        fastnn.config.set_float32_matmul_precision("highest")
    measured.path(conv_ways.TABLE, "sm_90").write_text("[[")
    conv_ways.table.clear()
    conv_ways.read_table("sm_90")
    assert conv_ways.table == {}, "a file that is not whole says nothing"


def test_cudnn_is_taken_where_it_was_faster_or_is_asked_for(monkeypatch) -> None:
    shape = conv_ways.shape_of("Forward", "float32", chosen()[0])
    monkeypatch.setattr(conv_ways, "table", {shape: conv_ways.CUDNN})
    monkeypatch.setattr(cudnn, "installed", lambda: False)
    assert chosen()[1] == conv_ways.TILED
    monkeypatch.setattr(cudnn, "installed", lambda: True)
    assert chosen()[1] == conv_ways.CUDNN
    monkeypatch.setenv("FASTNN_CUDNN", "0")
    assert chosen()[1] == conv_ways.TILED
    monkeypatch.setattr(conv_ways, "table", {})
    monkeypatch.setenv("FASTNN_CUDNN", "1")
    assert chosen()[1] == conv_ways.CUDNN


# ---- the real library, where it is installed -----------------------------------------


def installed(pattern):
    """A file of the package nvidia-cudnn-cu13."""
    spec = find_spec("nvidia")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in Path(folder).glob(f"cudnn/{pattern}"):
            return path
    pytest.skip("needs the package nvidia-cudnn-cu13")


def test_numbers_are_those_of_the_header() -> None:
    text = installed("include/cudnn_graph.h").read_text()

    def value(name):
        (found,) = set(
            re.findall(rf"\bCUDNN_{name}(?: CUDNN_DEPRECATED_ENUM)?\s*=\s*(\d+)", text)
        )
        return int(found)

    kinds = ("CONVOLUTION", "ENGINE", "ENGINECFG", "ENGINEHEUR", "EXECUTION_PLAN")
    assert [value(f"BACKEND_{k}_DESCRIPTOR") for k in kinds] == [1, 2, 3, 4, 5]
    assert value("BACKEND_OPERATIONGRAPH_DESCRIPTOR") == cudnn.GRAPH
    assert value("BACKEND_VARIANT_PACK_DESCRIPTOR") == cudnn.PACK
    assert value("BACKEND_TENSOR_DESCRIPTOR") == cudnn.TENSOR
    operations = (
        ("y", "FORWARD", "FORWARD", "X", "Y"),
        ("x", "BACKWARD_DATA", "BWD_DATA", "DX", "DY"),
        ("w", "BACKWARD_FILTER", "BWD_FILTER", "X", "DY"),
    )
    for written, kind, attribute, x, y in operations:
        side = cudnn.SIDES[written]
        assert value(f"BACKEND_OPERATION_CONVOLUTION_{kind}_DESCRIPTOR") == side.kind
        w = "DW" if written == "w" else "W"
        fields = ("ALPHA", "CONV_DESC", x, w, y)
        prefix = f"ATTR_OPERATION_CONVOLUTION_{attribute}"
        assert [value(f"{prefix}_{f}") for f in fields] == list(side[1:])
        assert value(f"{prefix}_BETA") == side.alpha + 1
    types = {"HANDLE": 0, "DATA_TYPE": 1, "INT64": 3, "FLOAT": 4, "VOID_PTR": 6}
    types |= {"CONVOLUTION_MODE": 7, "HEUR_MODE": 8, "NUMERICAL_NOTE": 11}
    types |= {"BACKEND_DESCRIPTOR": 15}
    assert {name: value(f"TYPE_{name}") for name in types} == types
    assert set(types.values()) == set(cudnn.C_TYPES)
    notes = ("TENSOR_CORE", "DOWN_CONVERT_INPUTS", "REDUCED_PRECISION_REDUCTION")
    notes += ("FFT", "NONDETERMINISTIC", "WINOGRAD")
    assert [value(f"NUMERICAL_NOTE_{n}") for n in notes] == [0, 1, 2, 3, 4, 5]
    attributes = {
        "CONVOLUTION": ("COMP_TYPE", "CONV_MODE", "DILATIONS", "FILTER_STRIDES"),
        "TENSOR": ("BYTE_ALIGNMENT", "DATA_TYPE", "DIMENSIONS", "STRIDES"),
        "ENGINEHEUR": ("MODE", "OPERATION_GRAPH", "RESULTS"),
        "VARIANT_PACK": ("UNIQUE_IDS", "DATA_POINTERS"),
        "OPERATIONGRAPH": ("HANDLE", "OPS"),
        "EXECUTION_PLAN": ("HANDLE", "ENGINE_CONFIG", "WORKSPACE_SIZE"),
    }
    first = {"CONVOLUTION": 100, "TENSOR": 900, "ENGINEHEUR": 200}
    first |= {"VARIANT_PACK": 1000, "OPERATIONGRAPH": 800, "EXECUTION_PLAN": 400}
    for of, names in attributes.items():
        numbers = [value(f"ATTR_{of}_{name}") for name in names]
        assert numbers == [first[of] + i for i in range(len(names))]
    rest = ("CONVOLUTION_POST_PADDINGS", "CONVOLUTION_PRE_PADDINGS")
    rest += ("CONVOLUTION_SPATIAL_DIMS", "TENSOR_UNIQUE_ID", "ENGINECFG_ENGINE")
    rest += ("ENGINE_NUMERICAL_NOTE", "VARIANT_PACK_WORKSPACE")
    assert [value(f"ATTR_{n}") for n in rest] == [104, 105, 106, 906, 300, 1303, 1003]


# An H200 in cuDNN's words: it makes plans for devices that are not there.
H200 = b"""{
"deviceId": 0, "cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000,
"maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
"regsPerBlock": 65536, "multiProcessorCount": 132, "smClockRateKHz": 1980000,
"memClockRateKHz": 3201000, "memoryBusWidth": 6144, "l2CacheSize": 62914560,
"warpSize": 32, "maxSharedMemoryPerBlock": 49152, "isTccDriver": 0,
"maxSharedMemoryPerBlockOptin": 232448, "reservedSharedMemoryPerBlock": 1024,
"maxRegistersPerSM": 65536, "pciDeviceId": 0, "maxCtasPerSM": 32,
"maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "supportCoopLaunch": 1,
"totalGlobalMem": 150754820096, "deviceName": "NVIDIA H200",
"maxSharedMemoryPerMultiprocessor": 233472, "oversizedSharedMemoryPerBlock": 0}"""


class OfH200(cudnn.Dnn):
    """The library without a handle."""

    def _started(self):
        self.described = self._new(38, [])  # DEVICEPROP
        given = self.described.at, 2702, 24, len(H200)  # JSON_REPRESENTATION, CHAR
        self._check("BackendSetAttribute", *given, ctypes.create_string_buffer(H200))
        self._check("BackendFinalize", self.described.at)

    def _target(self, kind):
        attribute = {cudnn.HEURISTICS: 204, cudnn.PLAN: 407}.get(kind)
        if attribute is None:
            return []
        return [(attribute, cudnn.DESCRIPTOR, [self.described])]


# x, kernel (outputs first), y, stride, zeros before and behind; the last has groups.
LAYERS = (
    ((64, 56, 56, 64), (128, 3, 3, 64), (64, 56, 56, 128), 1, 1, 1),
    ((64, 56, 56, 64), (128, 3, 3, 64), (64, 28, 28, 128), 2, 0, 1),
    ((64, 224, 224, 3), (64, 7, 7, 3), (64, 112, 112, 64), 2, 3, 3),
    ((64, 56, 56, 60), (36, 3, 3, 60), (64, 56, 56, 36), 1, 1, 1),
    ((64, 56, 56, 128), (128, 3, 3, 4), (64, 56, 56, 128), 1, 1, 1),
)
PRECISIONS = (("bfloat16", False), ("float32", False), ("float32", True))


@pytest.mark.parametrize("written", ["x", "w", "y"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_library_itself_has_plans_for_layers(precision, written) -> None:
    path = installed("lib/libcudnn.so.9")
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("cuDNN's engines are linked with the driver's library")
    library, (dtype, rounded) = OfH200(ctypes.CDLL(str(path)), None), precision
    for x, w, y, stride, before, after in LAYERS:
        ends = (dense(0, dtype, shape) for shape in (x, w, y))
        how = ((n, n) for n in (stride, 1, before, after))
        plan, nbytes = library._plan(Convolution(*ends, written, *how, rounded))
        assert plan.at
        assert 0 <= nbytes < cudnn.MOST_WORKSPACE
