# SPDX-License-Identifier: Apache-2.0
"""Event files, read back by a decoder of their own and, where it is, by TensorBoard."""

from __future__ import annotations

import io
import json
import struct
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from fastnn import Input, Sequential, callbacks, layers
from fastnn.utils import EventWriter
from fastnn.utils.event_files import crc32c, histogram_rows, png

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 60)


# ---- an independent reader: protobuf's wire format -----------------------------------


def unmask(masked: int) -> int:
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def records(path: Path) -> list[bytes]:
    found, stream = [], io.BytesIO(path.read_bytes())
    while head := stream.read(12):
        length, crc = struct.unpack("<QI", head)
        assert unmask(crc) == crc32c(head[:8])
        data = stream.read(length)
        assert unmask(*struct.unpack("<I", stream.read(4))) == crc32c(data)
        found.append(data)
    return found


def fields(data: bytes) -> dict[int, list]:
    """Field number -> values as they stand there."""
    found, at = defaultdict(list), 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            found[key >> 3].append(varint())
        else:
            size = {1: 8, 5: 4}.get(kind) or varint()
            found[key >> 3].append(data[at : at + size])
            at += size
    return found


def summaries(folder: Path) -> dict[str, list]:
    """tag -> (step, plugin, tensor fields) of all events."""
    found = defaultdict(list)
    for path in sorted(folder.glob("events.out.tfevents.*")):
        first, *rest = [fields(r) for r in records(path)]
        assert first[3] == [b"brain.Event:2"]
        for event in rest:
            for value in fields(event[5][0])[1] if 5 in event else ():
                parts = fields(value)
                plugin = fields(fields(parts[9][0])[1][0])[1][0].decode()
                entry = event[2][0], plugin, fields(parts[8][0])
                found[parts[1][0].decode()].append(entry)
    return found


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    found = [(step, parts) for step, _, parts in summaries(folder)[tag]]
    return [(s, struct.unpack("<f", p[4][0])[0]) for s, p in found]


def test_crc_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


def test_summaries_of_each_kind(tmp_path) -> None:
    writer = EventWriter(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists() and writer.path is None
    writer.scalar("s", 0.25, 3)
    writer.histogram("h", np.arange(10.0), 4, buckets=5)
    writer.images("i", np.full((2, 3, 4, 1), 0.5), 5)
    writer.text("t", "# head", 6)
    writer.scalar("s", -1.5, 2**40)
    writer.close()
    found = summaries(tmp_path / "a" / "b")
    assert scalars(tmp_path / "a" / "b", "s") == [(3, 0.25), (2**40, -1.5)]
    step, plugin, rows = found["h"][0]
    values = np.frombuffer(rows[4][0], "<f8").reshape(5, 3)
    assert (step, plugin) == (4, "histograms")
    np.testing.assert_allclose(values[:, 2], [2, 2, 2, 2, 2])
    np.testing.assert_allclose(values[:, 0], np.arange(5) * 1.8)
    assert found["i"][0][1] == "images"
    assert found["i"][0][2][8][:2] == [b"4", b"3"] and len(found["i"][0][2][8]) == 4
    assert found["t"][0][1] == "text" and found["t"][0][2][8] == [b"# head"]


def test_histograms_of_odd_values() -> None:
    assert not histogram_rows([]).any()
    same = histogram_rows([2.0, 2.0, np.nan, np.inf])
    assert same[-1].tolist() == [2, 2, 2] and same[:, 2].sum() == 2
    values = np.random.default_rng(0).normal(size=1000)
    rows = histogram_rows(values)
    assert rows.shape == (30, 3) and rows[:, 2].sum() == 1000
    assert rows[0, 0] == values.min() and rows[-1, 1] == values.max()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_is_read_by_pillow(channels) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), "uint8")
    opened = np.asarray(image.open(io.BytesIO(png(pixels))))
    np.testing.assert_array_equal(opened.reshape(pixels.shape), pixels)


# ---- the callback --------------------------------------------------------------------


def classifier(**options) -> Sequential:
    parts = [Input((4,)), layers.Dense(5, name="a"), layers.Dense(3, name="b")]
    model = Sequential([*parts, layers.Softmax()], name="m")
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], **options
    )
    return model


def trained(folder: Path, epochs: int = 2, model: Sequential | None = None, **options):
    board = callbacks.TensorBoard(folder, **options)
    model = model or classifier()
    return model.fit(
        X, Y, 10, epochs, verbose=0, validation_split=0.5, callbacks=[board]
    )


@pytest.mark.feature("1B-26", "4E-66")
def test_curves_are_those_of_the_history(tmp_path) -> None:
    history = trained(tmp_path / "deep" / "run").history
    for part, prefix in (("train", ""), ("validation", "val_")):
        for name in ("loss", "accuracy"):
            points = scalars(tmp_path / "deep" / "run" / part, f"epoch_{name}")
            want = list(enumerate(history[f"{prefix}{name}"]))
            np.testing.assert_allclose(points, want, rtol=1e-6)
    rates = scalars(tmp_path / "deep" / "run" / "train", "epoch_learning_rate")
    np.testing.assert_allclose(rates, [(0, 1e-3), (1, 1e-3)], rtol=1e-6)
    evaluated = scalars(
        tmp_path / "deep" / "run" / "validation", "evaluation_loss_vs_iterations"
    )
    assert [step for step, _ in evaluated] == [3, 6]


def test_the_model_and_its_plan_are_graphs(tmp_path) -> None:
    model = classifier()
    trained(tmp_path, model=model)
    step, plugin, tensor = summaries(tmp_path / "train")["keras"][0]
    assert plugin == "graph_keras_model" and step == 0
    assert json.loads(tensor[8][0])["config"]["name"] == "m"
    (path,) = (tmp_path / "train").glob("events*")
    graphs = [e[4][0] for e in map(fields, records(path)) if 4 in e]
    nodes = [fields(node) for node in fields(graphs[0])[1]]
    names = [node[1][0].decode() for node in nodes]
    plan = model.plan()
    assert len(set(names)) == len(names) and len(graphs) == 1
    ops = sorted(node[2][0].decode() for node in nodes)
    instructions = sorted(step.node.op.name for step in plan._steps)
    assert sorted(set(ops) - {"VariableV2", "Placeholder"}) == sorted(set(instructions))
    inputs = {s.decode().split(":")[0] for node in nodes for s in node[3]}
    assert inputs <= set(names) and "variables/m/a/kernel" in inputs


def test_write_graph_false_writes_none(tmp_path) -> None:
    trained(tmp_path, write_graph=False)
    assert "keras" not in summaries(tmp_path / "train")


def test_histograms_and_pictures_of_weights(tmp_path) -> None:
    model = classifier()
    trained(tmp_path, 3, model, histogram_freq=2, write_images=True)
    found = summaries(tmp_path / "train")
    assert [step for step, _, _ in found["m/a/kernel/histogram"]] == [0, 2]
    last = np.frombuffer(found["m/b/bias/histogram"][-1][2][4][0], "<f8").reshape(-1, 3)
    assert last[0, 0] == model.layers[1].get_weights()[1].min()
    assert found["m/a/kernel/image"][0][2][8][:2] == [b"5", b"4"]


@pytest.mark.parametrize(("every", "steps"), [("batch", [1, 2, 3, 4, 5, 6]), (4, [4])])
def test_curves_of_batches(tmp_path, every, steps) -> None:
    trained(tmp_path, update_freq=every)
    points = scalars(tmp_path / "train", "batch_loss")
    assert [step for step, _ in points] == steps


def test_epochs_do_not_stop_for_batches_unless_asked() -> None:
    def slow(**options):
        board = callbacks.TensorBoard(**options)
        return callbacks.CallbackList([board]).has_batch_hooks

    assert not slow() and not slow(histogram_freq=1, profile_batch=(1, 5))
    assert slow(update_freq=1)


def test_the_profile_of_the_plan(tmp_path) -> None:
    model = classifier()
    trained(tmp_path, 2, model, profile_batch=(2, 4))
    found = summaries(tmp_path / "train")
    step, plugin, tensor = found["plan"][0]
    assert (step, plugin, len(found["plan"])) == (4, "graph_run_metadata", 1)
    devices = fields(fields(tensor[8][0])[1][0])[1]
    timed = [fields(s)[1][0].decode() for d in devices for s in fields(d)[2]]
    assert timed and all(name.startswith("phase_") for name in timed)
    assert b"steps timed" in found["plan_times"][0][2][8][0]
    (trace,) = tmp_path.rglob("local.trace.json")
    assert json.loads(trace.read_text())["traceEvents"]
    before = model.get_weights()
    clean = classifier()
    clean.set_weights(before)  # profiling changed nothing that predict reads
    np.testing.assert_array_equal(
        clean.predict(X, verbose=0), model.predict(X, verbose=0)
    )


def test_an_eager_model_has_no_plan(tmp_path) -> None:
    with pytest.warns(UserWarning, match="runs eagerly"):
        trained(tmp_path, model=classifier(run_eagerly=True), profile_batch=1)


def test_evaluate_writes_too(tmp_path) -> None:
    model = classifier()
    model.evaluate(X, Y, verbose=0, callbacks=[callbacks.TensorBoard(tmp_path)])
    points = scalars(tmp_path / "validation", "evaluation_loss_vs_iterations")
    assert [step for step, _ in points] == [0]


def test_embeddings_for_the_projector(tmp_path) -> None:
    parts = [Input((3,), dtype="int32"), layers.Embedding(6, 2, name="words")]
    model = Sequential([*parts, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    board = callbacks.TensorBoard(
        tmp_path, embeddings_freq=1, embeddings_metadata={"words": "names.tsv"}
    )
    x = np.random.default_rng(0).integers(0, 6, (20, 3))
    model.fit(x, np.zeros((20, 1)), verbose=0, callbacks=[board])
    rows = np.loadtxt(tmp_path / "words.tsv", delimiter="\t")
    np.testing.assert_allclose(rows, model.layers[0].get_weights()[0], rtol=1e-5)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_path: "words.tsv"' in text and '"names.tsv"' in text


@pytest.mark.parametrize(
    "options",
    [
        {"update_freq": 0},
        {"update_freq": "step"},
        {"profile_batch": (3, 2)},
        {"profile_batch": -1},
        {"profile_batch": "a"},
        {"profile_batch": (1, 2, 3)},
    ],
)
def test_arguments_are_checked(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        callbacks.TensorBoard(**options)


@pytest.mark.feature("1B-26")
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_the_files(tmp_path) -> None:
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    util = pytest.importorskip("tensorboard.util.tensor_util")
    graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2")
    history = trained(tmp_path, 3, histogram_freq=1, profile_batch=2).history
    found = module.EventAccumulator(str(tmp_path / "train"), {"tensors": 0})
    found.Reload()
    losses = [
        float(util.make_ndarray(event.tensor_proto))
        for event in found.Tensors("epoch_loss")
    ]
    np.testing.assert_allclose(losses, history["loss"], rtol=1e-6)
    rows = util.make_ndarray(found.Tensors("m/a/kernel/histogram")[0].tensor_proto)
    assert rows.shape == (30, 3) and rows[:, 2].sum() == 20
    plugins = {
        name: list(found.PluginTagToContent(name))
        for name in ("scalars", "histograms", "graph_keras_model", "graph_run_metadata")
    }
    assert "epoch_accuracy" in plugins["scalars"]
    assert plugins["graph_keras_model"] == ["keras"]
    assert plugins["graph_run_metadata"] == ["plan"]
    assert isinstance(found.Graph(), graph_pb2.GraphDef)
    assert any(node.op == "linear" for node in found.Graph().node)
