# SPDX-License-Identifier: Apache-2.0
"""Whole models as ONNX files: open axes, opsets, refusals; public models read."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import Input, InputSpec, Model, Sequential, layers, ops, tree
from fastnn.errors import NotBuiltError, SerializationError, ShapeError

onnx = pytest.importorskip("onnx")

from fastnn.onnx import export_model, import_model  # noqa: E402


def floats(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def convnet(size=None):
    image = x = Input((size, size, 3))
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        y = layers.DepthwiseConv2D(3, padding="same")(x)
        x = layers.Add()([x, layers.BatchNormalization()(y)])
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Multiply()([x, layers.Conv2D(16, 1, activation="sigmoid")(gate)])
    x = layers.UpSampling2D(2)(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return Model(image, layers.Dense(5, activation="softmax")(x))


def transformer():
    words = Input((None,), dtype="int32")
    x = layers.Embedding(50, 16)(words)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    more = layers.Dense(16)(layers.Dense(32, activation="gelu")(x))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + more))
    return Model(words, layers.Dense(3)(x))


def sequences(layer, *, masked=False):
    steps = x = Input((None, 4))
    x = layers.Masking()(x) if masked else x
    return Model(steps, layer(x))


def two_ends():
    a, b = Input((3,), name="a"), Input((4,), name="b")
    both = layers.Concatenate(name="both")([a, b])
    return Model([a, b], [layers.Dense(2, name="first")(a), both])


class Subclassed(Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return ops.relu(self.dense(x)) * 2


# Name -> model, and inputs that differ in the sizes of open axes.
MODELS = {
    "convnet": (convnet, [(floats(2, 32, 48, 3),), (floats(3, 37, 41, 3),)]),
    "transformer": (
        transformer,
        [(np.arange(14, dtype="int32").reshape(2, 7),), (np.ones((3, 4), "int32"),)],
    ),
    "lstm": (
        lambda: sequences(layers.LSTM(6)),
        [(floats(2, 9, 4),), (floats(1, 3, 4),)],
    ),
    "lstm with states": (
        lambda: sequences(layers.LSTM(6, return_state=True)),
        [(floats(2, 9, 4),)],
    ),
    "masked lstm": (
        lambda: sequences(layers.LSTM(6), masked=True),
        [(floats(2, 9, 4) * np.array([[[1.0]], [[0.0]]], "float32"),)],
    ),
    "bidirectional": (
        lambda: sequences(layers.Bidirectional(layers.GRU(5, return_sequences=True))),
        [(floats(2, 9, 4),), (floats(3, 5, 4),)],
    ),
    "two ends": (two_ends, [(floats(2, 3), floats(2, 4))]),
}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model.onnx"


@pytest.mark.parametrize("name", MODELS)
def test_open_axes_are_open_in_the_file(name, file):
    make, inputs = MODELS[name]
    model = make()
    export_model(model, file)
    onnx.checker.check_model(onnx.load(file), full_check=True)
    again = import_model(file)
    for arrays in inputs:
        x = list(arrays) if len(arrays) > 1 else arrays[0]
        expected = tree.flatten(model.predict(x, verbose=0))
        runs = [lambda x=x: [t.numpy() for t in tree.flatten(again(x))]]
        if runtime := _runtime():
            session = runtime.InferenceSession(
                file.read_bytes(), providers=["CPUExecutionProvider"]
            )
            names = [end.name for end in session.get_inputs()]
            feed = dict(zip(names, arrays, strict=True))
            runs.append(lambda s=session, f=feed: s.run(None, f))
        for run in runs:
            for a, b in zip(run(), expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def _runtime():
    try:
        import onnxruntime
    except ImportError:
        return None
    return onnxruntime


def test_transposes_stand_at_the_ends_only(file):
    export_model(convnet(32), file)
    counts = Counter(node.op_type for node in onnx.load(file).graph.node)
    # In, and around the one upsampling that repeats elements by reshapes.
    assert counts["Transpose"] <= 3
    assert counts["Conv"] == 5
    assert counts["BatchNormalization"] == 4


def test_weights_keep_their_paths(file):
    model = Sequential([Input((5,)), layers.Dense(3, name="head")])
    export_model(model, file)
    names = {t.name for t in onnx.load(file).graph.initializer}
    assert names == {weight.path for weight in model.weights}


@pytest.mark.parametrize("opset", range(17, 24))
def test_opsets(opset, file):
    model = Sequential(
        [
            Input((8, 8, 4)),
            layers.Conv2D(4, 3, activation="gelu"),
            layers.GroupNormalization(2),
            layers.Flatten(),
            layers.LayerNormalization(),
            layers.Dense(2),
        ]
    )
    export_model(model, file, opset_version=opset)
    proto = onnx.load(file)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.opset_import[0].version == opset
    x = floats(2, 8, 8, 4)
    np.testing.assert_allclose(
        import_model(file)(x).numpy(), model.predict(x, verbose=0), atol=1e-5
    )


def test_models_without_inputs_need_a_signature(file):
    model = Subclassed()
    with pytest.raises(NotBuiltError, match="input_signature"):
        export_model(model, file)
    export_model(model, file, input_signature=[InputSpec(shape=(None, 5))])
    x = floats(4, 5)
    expected = model(x).numpy()
    np.testing.assert_allclose(import_model(file)(x).numpy(), expected, atol=1e-6)
    export_model(model, file)  # built by now
    np.testing.assert_allclose(import_model(file)(x).numpy(), expected, atol=1e-6)


def test_bfloat16_is_written_as_float32(file):
    model = Sequential([Input((3,)), layers.Dense(2, dtype="mixed_bfloat16")])
    export_model(model, file)
    x = floats(4, 3)
    found = import_model(file)(x).numpy()
    kernel, bias = (ops.cast(w, "bfloat16") for w in model.weights)
    kernel, bias = (ops.cast(w, "float32").numpy() for w in (kernel, bias))
    np.testing.assert_allclose(found, x @ kernel + bias, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "arguments", "error", "message"),
    [
        (lambda: sequences(layers.LSTM(3, activation="relu")), {}, SerializationError,
         "depends on the open axes"),
        (lambda: Sequential([Input((3,)), layers.Lambda(_noise)]), {},
         SerializationError, "random_normal"),
        (two_ends, {"opset_version": 5}, ValueError, "17 to 23"),
        (two_ends, {"opset": 18}, TypeError, "opset"),
        (lambda: Sequential([layers.Dense(3)]), {}, NotBuiltError, "input_signature"),
        (lambda: 3, {}, TypeError, "a Model or a Layer"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_said(make, arguments, error, message, file):
    with pytest.raises(error, match=message):
        export_model(make(), file, **arguments)
    assert not file.exists()


def _noise(x):
    return x + fastnn.random.normal((3,))


# -- models that were read ---------------------------------------------------------


@pytest.mark.feature("1D-1e")
def test_imported_models_train_and_are_exported_again(file, tmp_path):
    export_model(convnet(16), file)
    model = import_model(file)
    x, y = floats(64, 16, 16, 3), np.eye(5, dtype="float32")[np.arange(64) % 5]
    assert all("moving" not in w.path for w in model.trainable_weights)
    model.compile("adam", "categorical_crossentropy")
    losses = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert model.evaluate(x, y, verbose=0) < losses[0]
    expected = model.predict(x, verbose=0)
    again = tmp_path / "again.onnx"
    export_model(model, again)
    np.testing.assert_allclose(import_model(again)(x).numpy(), expected, atol=1e-5)
    model.save_weights(tmp_path / "w.weights.h5")
    fresh = import_model(file)
    fresh.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(fresh.predict(x, verbose=0), expected)
    with pytest.raises(SerializationError, match="export_model"):
        model.save(tmp_path / "m.keras")


def test_imported_models_say_what_they_take(file):
    export_model(two_ends(), file)
    model = import_model(file)
    assert (model.input_names, model.output_names) == (["a", "b"], ["first", "both"])
    assert [t.shape for t in model.inputs] == [(None, 3), (None, 4)]
    assert model.metadata["producer"].startswith("fastnn")
    a, b = floats(2, 3), floats(2, 4)
    first, _ = model({"b": b, "a": a})
    np.testing.assert_array_equal(first.numpy(), model([a, b])[0].numpy())
    for wrong, error in (
        ([a], ValueError),
        ({"a": a, "c": b}, ValueError),
        ([b, a], ShapeError),
        ([a[0], b], ShapeError),
    ):
        with pytest.raises(error, match=model.name):
            model(wrong)


def _light():
    folder = Path(os.path.dirname(onnx.__file__)) / "backend/test/data/light"
    return sorted(folder.glob("*.onnx"))


@pytest.mark.parametrize("path", _light(), ids=lambda p: p.stem)
def test_public_architectures(path):
    """AlexNet, DenseNet, Inception, ResNet, ... with weights that the file computes."""
    expected = onnx.TensorProto()
    expected.ParseFromString((path.parent / f"{path.stem}_output_0.pb").read_bytes())
    expected = onnx.numpy_helper.to_array(expected)
    model = import_model(path)
    shape = tuple(n or 1 for n in model.inputs[0].shape)
    x = np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)
    found = model(x.astype("float32")).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
