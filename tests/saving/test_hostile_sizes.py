# SPDX-License-Identifier: Apache-2.0
"""Small files that want to be large: at most 2 x the file and 64 MiB, and 10 s."""

from __future__ import annotations

import json
import random
import struct
import zipfile

import h5py
import numpy as np
import pytest
from file_costs import measured
from saving_cases import pack

from fastnn import keras
from fastnn.errors import ModelFileError
from fastnn.models import load_model
from fastnn.saving.formats import load_arrays, weights_of

INPUT = {
    "module": "keras.layers",
    "class_name": "InputLayer",
    "config": {"batch_shape": [None, 3], "name": "x"},
    "name": "x",
    "inbound_nodes": [],
}


def stack(layer, count):
    listed = [INPUT, *[layer] * count]
    config = {"layers": listed}
    return {"module": "keras", "class_name": "Sequential", "config": config}


def chain(count):
    """A functional model, whose layers stand one on the other."""
    listed, last = [INPUT], "x"
    for i in range(count):
        tensor = {"shape": [None, 3], "dtype": "float32", "keras_history": [last, 0, 0]}
        given = {"class_name": "__keras_tensor__", "config": tensor}
        last = f"r{i}"
        node = {"args": [given], "kwargs": {}}
        listed.append({**RELU, "name": last, "config": {"name": last}})
        listed[-1]["inbound_nodes"] = [node]
    ends = {"input_layers": ["x", 0, 0], "output_layers": [last, 0, 0]}
    config = {"name": "f", "layers": listed, **ends}
    module = "keras.src.models.functional"
    return {"module": module, "class_name": "Functional", "config": config}


def wrapped(levels, config):
    """Layers around layers, the innermost of which rejects its config."""
    layer = {"class_name": "Dense", "config": config}
    for _ in range(levels):
        layer = {"class_name": "TimeDistributed", "config": {"layer": layer}}
    return stack(layer, 1)


RELU = {"class_name": "ReLU", "config": {}}
CONFIGS = {
    "lists": lambda: "[" + "[]," * 2_000_000 + "[]]",
    "objects": lambda: "[" + "{}," * 2_000_000 + "{}]",
    "texts": lambda: "[" + '"ab",' * 3_000_000 + "[]]",
    "numbers": lambda: "[" + "1e9," * 4_000_000 + "[]]",
    "entries": lambda: json.dumps({f"{i:x}": 0 for i in range(700_000)}),
    "unknown classes": lambda: json.dumps(
        stack({"class_name": "Nothing", "config": {}}, 100_000)
    ),
    "layers": lambda: json.dumps(stack(RELU, 60_000)),
    "a long text": lambda: json.dumps(["a" * (2 << 20)]),
    "wide letters": lambda: json.dumps(["\U0001f600" + "a" * 999_000] * 20, **WIDE),
}
WIDE = {"ensure_ascii": False}
# As many as are read; they find no weights.
FULL = {
    "dense layers": lambda: json.dumps(stack(DENSE, 13_000)),
    "arguments": lambda: json.dumps(
        stack(
            {"class_name": "Dense", "config": {f"a{i:x}": 0 for i in range(160_000)}}, 1
        )
    ),
    "configs in configs": lambda: json.dumps(wrapped(40, {"": ["x" * 900_000] * 12})),
}
DENSE = {"class_name": "Dense", "config": {"units": 1}}
SOUND = {
    "fewer layers": lambda: json.dumps(stack(RELU, 10_000)),
    "layers of a graph": lambda: json.dumps(chain(3000)),
}
TOLD = ("bytes of memory", "JSON with a text of", "that are not ASCII")


@pytest.mark.parametrize("name", [*CONFIGS, *SOUND, *FULL])
def test_configs(name, members, tmp_path):
    text = {**CONFIGS, **SOUND, **FULL}[name]()
    path = pack(tmp_path / "bad.keras", {**members, "config.json": text})
    outcome, seconds, grown = measured(lambda: load_model(path))
    _check(path, seconds, grown)
    if name in CONFIGS:
        assert isinstance(outcome, ModelFileError)
        assert any(text in str(outcome) for text in TOLD)
    elif name in FULL:
        assert isinstance(outcome, ModelFileError)
        assert not any(text in str(outcome) for text in TOLD)
        assert len(str(outcome)) < 11_000
    else:
        assert not isinstance(outcome, Exception), outcome


def _check(path, seconds, grown):
    assert grown < 2 * path.stat().st_size + (64 << 20)
    assert seconds < 10


def test_tables_of_safetensors(tmp_path):
    path = tmp_path / "m.safetensors"
    table = b'{"a":[' + b"[]," * 2_000_000 + b"[]]}"
    path.write_bytes(len(table).to_bytes(8, "little") + table)
    outcome, seconds, grown = measured(lambda: load_arrays(path))
    _check(path, seconds, grown)
    assert "bytes of memory" in str(outcome)


# ---- archives ----------------------------------------------------------------------


def test_a_deflated_config(members, tmp_path):
    """60 kB that are 40 MB of text."""
    text = {**members, "config.json": '"' + "a" * (40 << 20) + '"'}
    path = pack(tmp_path / "bad.keras", text, compression=zipfile.ZIP_DEFLATED)
    _refused_cheaply(path, "more than 100 times")
    noise = random.Random(0).randbytes(1 << 20).hex() * 20
    path = pack(
        tmp_path / "bad.keras",
        {**members, "config.json": f'"{noise}"'},
        compression=zipfile.ZIP_DEFLATED,
    )
    _refused_cheaply(path, "are read")


def test_a_long_table_of_members(tmp_path):
    """One member that a table names 300,000 times."""
    path = tmp_path / "bad.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", "{}")
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    table = data[start:end] * 300_000
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(table), start, 0)
    path.write_bytes(data[:start] + table + tail)
    _refused_cheaply(path, "a table of")


def _refused_cheaply(path, problem):
    outcome, seconds, grown = measured(lambda: load_model(path))
    _check(path, seconds, grown)
    assert isinstance(outcome, ModelFileError)
    assert problem in str(outcome)


# ---- HDF5 --------------------------------------------------------------------------


def deep_names(file):
    """A path of 250,000 letters, 10,000 times: 2.5 GB of names from 1.5 MB."""
    group = file
    for _ in range(250):
        group = group.create_group("a" * 1000)
    group["z"] = np.float32(1)
    for i in range(10_000):
        group[f"{i:x}"] = group["z"]


def empty_arrays(file):
    """Each is small enough to need no bytes in the file; all are 3 GB."""
    for i in range(3000):
        file.create_dataset(f"layers/dense/vars/{i}", (1 << 18,), "f4")


def filtered_twice(file):
    """Shuffled 30 times: a file may ask for any number of rounds over its arrays."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((1000,))
    for _ in range(30):
        settings.set_shuffle()
    space = h5py.h5s.create_simple((1000,))
    stored = h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_FLOAT, space, settings)
    h5py.Dataset(stored)[:] = 1


@pytest.mark.parametrize(
    ("fill", "problem"),
    [(deep_names, "very long names"), (empty_arrays, "could not be loaded")],
)
def test_hdf5(fill, problem, model, tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    outcome, seconds, grown = measured(lambda: model.load_weights(path))
    _check(path, seconds, grown)
    assert isinstance(outcome, ModelFileError)
    assert problem in str(outcome)


def test_a_filter_is_applied_once(tmp_path):
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        filtered_twice(file)
    with weights_of(str(path)) as reader:
        assert "more than once" in reader.datasets["a"].problem


def metric(name, **config):
    return {"module": "keras.metrics", "class_name": name, "config": config}


@pytest.mark.parametrize(
    "metrics",
    [
        [metric("MeanIoU", num_classes=20_000)],
        [metric("OneHotMeanIoU", num_classes=10**9)],
        [metric("IoU", num_classes=10**400, target_class_ids=[0])],
        [metric("AUC", num_thresholds=30_000_000)],
        [metric("AUC", multi_label=True, num_labels=10**8)],
        [metric("PrecisionAtRecall", recall=0.5, num_thresholds=30_000_000)],
        [metric("MeanIoU", num_classes=1500)] * 40,
    ],
    ids=lambda metrics: f"{len(metrics)} {metrics[0]['class_name']}",
)
def test_states_of_metrics(metrics, members, tmp_path):
    """Which are made of a number in the config, before there is any data."""
    config = json.loads(members["config.json"])
    config["compile_config"]["metrics"] = metrics
    path = pack(tmp_path / "m.keras", {**members, "config.json": json.dumps(config)})
    outcome, seconds, grown = measured(lambda: load_model(path))
    _check(path, seconds, grown)
    assert isinstance(outcome, ModelFileError) and "bytes of states" in str(outcome)


@pytest.mark.parametrize("key", ["loss", "metrics", "weighted_metrics"])
def test_number_of_metrics(key, members, tmp_path):
    """400,000 took 12 s."""
    config = json.loads(members["config.json"])
    config["compile_config"][key] = ["mae"] * 60_000
    path = pack(tmp_path / "m.keras", {**members, "config.json": json.dumps(config)})
    outcome, seconds, grown = measured(lambda: load_model(path))
    _check(path, seconds, grown)
    assert isinstance(outcome, ModelFileError)
    assert "parts; a file may ask" in str(outcome)


def test_states_of_metrics_that_models_have(members, tmp_path):
    config = json.loads(members["config.json"])
    config["compile_config"]["metrics"] = [
        metric("MeanIoU", num_classes=1000),
        metric("AUC", num_thresholds=20_000),
    ]
    path = pack(tmp_path / "m.keras", {**members, "config.json": json.dumps(config)})
    load_model(path)
    keras.metrics.MeanIoU(3000)  # nor is there a limit where no file asks


def functional(layer, shape):
    """A model of one call on an input of any size, which costs no weights."""
    first = {**INPUT, "config": {"batch_shape": shape, "name": "x"}}
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [["o", 0, 0]]}
    config = {"name": "f", "layers": [first, {**layer, "name": "o"}], **ends}
    module = "keras.src.models.functional"
    return {"module": module, "class_name": "Functional", "config": config}


def tensor(shape):
    config = {"shape": shape, "dtype": "float32", "keras_history": ["x", 0, 0]}
    return {"class_name": "__keras_tensor__", "config": config}


VECTOR, MATRIX = [400_000_000], [20_000, 20_000]
OPERATIONS = {
    "OnesLike": (MATRIX, {}),
    "ZerosLike": (MATRIX, {}),
    "Pad": (VECTOR, {"pad_width": 2, "mode": "reflect"}),
    "Isreal": (VECTOR, {}),
    "LayerNorm": (VECTOR, {}),
    "Diag": (VECTOR, {}),
    "Unfold": ([9, 1, 9_000, 9_000], {"kernel_size": 9}),
    "Tril": (MATRIX, {}),
    "MatrixPower": (MATRIX, {"n": 0}),
    "ExtractSequences": (VECTOR, {"sequence_length": 3000, "sequence_stride": 8}),
}
PARTS = {
    "Unstack": (VECTOR, {}),
    "Dstack": (VECTOR, {}),
    "Diff": (VECTOR, {"n": 300_000_000}),
}


@pytest.mark.parametrize("name", [*OPERATIONS, *PARTS])
def test_shapes_of_ops_that_no_weights_limit(name, members, tmp_path):
    """Masks and the like are not made where only the shape of a result is asked for."""
    shape, options = {**OPERATIONS, **PARTS}[name]
    node = {"args": [tensor(shape)], "kwargs": options}
    module = "keras.src.ops.numpy"
    layer = {
        "module": module,
        "class_name": name,
        "config": {},
        "inbound_nodes": [node],
    }
    text = json.dumps(functional(layer, shape))
    path = pack(tmp_path / "m.keras", {**members, "config.json": text})
    outcome, seconds, grown = measured(lambda: load_model(path))
    _check(path, seconds, grown)
    if name in PARTS:
        assert "parts asks for" in str(outcome)
    else:
        assert not isinstance(outcome, Exception), outcome
