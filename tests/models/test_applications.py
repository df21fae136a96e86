# SPDX-License-Identifier: Apache-2.0
"""Networks of keras.applications: layers as recorded from Keras, arguments, images."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from pathlib import Path

import application_cases as cases
import numpy as np
import pytest

from fastnn import applications, config, keras, layers, ops, saving, utils
from fastnn.applications import _frame, imagenet_utils
from fastnn.saving.allowance import weights_limited

GOLDEN = json.loads(cases.GOLDEN.read_text())
SMALL = {"include_top": False, "weights": None, "input_shape": (32, 32, 3)}


@pytest.fixture(autouse=True)
def names_begin_anew():
    """Automatic names are part of what is recorded."""
    utils.clear_session()


def undrawn(name: str, **options):
    """A network without memory for its weights: none is drawn, none written."""
    with weights_limited(sys.maxsize):
        return getattr(applications, name)(weights=None, **options)


@pytest.mark.parametrize("name", cases.networks(keras))
def test_layers_weights_and_parameters_are_those_of_keras(name: str) -> None:
    model = undrawn(name)
    assert cases.record(model) == GOLDEN["networks"][name]
    utils.clear_session()
    body = undrawn(name, include_top=False)
    assert cases.record(body) == GOLDEN["networks"][f"{name} without top"]


def test_all_networks_of_keras_are_there() -> None:
    assert len(cases.networks(keras)) == 40
    assert {n.split()[0] for n in GOLDEN["networks"]} == set(cases.networks(keras))


SIZES = {"Xception": 299, "InceptionV3": 299, "InceptionResNetV2": 299}
SIZES |= {"EfficientNetB1": 240, "EfficientNetB4": 380, "EfficientNetB7": 600}
SIZES |= {"EfficientNetV2B3": 300, "EfficientNetV2S": 384, "EfficientNetV2L": 480}
SIZES |= {"NASNetLarge": 331, "NASNetMobile": 224, "VGG16": 224, "DenseNet121": 224}


@pytest.mark.parametrize("name", SIZES)
def test_images_have_the_size_of_the_papers(name: str) -> None:
    size = SIZES[name]
    assert undrawn(name).input_shape == (None, size, size, 3)


# The numbers of the papers and of Keras's own table, in millions.
@pytest.mark.parametrize(
    ("name", "millions"),
    [("VGG16", 138.4), ("ResNet50", 25.6), ("Xception", 22.9), ("InceptionV3", 23.9)]
    + [("MobileNet", 4.3), ("MobileNetV2", 3.5), ("DenseNet121", 8.1)]
    + [("EfficientNetB0", 5.3), ("NASNetMobile", 5.3), ("ConvNeXtTiny", 28.6)],
)
def test_parameters_are_as_many_as_published(name: str, millions: float) -> None:
    assert round(undrawn(name).count_params() / 1e6, 1) == millions


@pytest.mark.parametrize("alpha", [0.35, 0.5, 1.4])
def test_width_of_mobilenet_v2(alpha: float) -> None:
    """Counted by Keras; 1.66, 1.95 and 6.06 million in the authors' table."""
    counted = {0.35: 1_677_128, 0.5: 1_968_680, 1.4: 6_108_776}
    weights = undrawn("MobileNetV2", alpha=alpha).trainable_weights
    assert sum(np.prod(w.shape) for w in weights) == counted[alpha]


# ---- trained weights ---------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*weights trained for .224, 224. are loaded")
@pytest.mark.parametrize("name", cases.networks(keras))
def test_trained_weights_are_asked_for_as_keras_does(name: str, monkeypatch) -> None:
    class Asked(Exception):
        pass

    def ask(fname, url, cache_subdir, file_hash):
        assert cache_subdir == "models"
        raise Asked([fname or url.rpartition("/")[2], url, file_hash])

    monkeypatch.setattr(_frame, "get_file", ask)
    for key, top in ((name, True), (f"{name} without top", False)):
        with pytest.raises(Asked) as asked:
            getattr(applications, name)(include_top=top, input_shape=None)
        assert asked.value.args[0] == GOLDEN["files"][key]


@pytest.mark.feature("2.5-12")
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_weights_of_a_file_or_of_the_cache(ending, tmp_path, monkeypatch) -> None:
    """`.h5` is what Keras 1 and 2 wrote, and what trained weights are stored in."""
    build = applications.MobileNetV2
    model = build(alpha=0.35, **SMALL)
    path = tmp_path / f"mine{ending}"
    save = model.save_weights if ending == ".weights.h5" else model.save
    save(path)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    expected = model.predict(x, verbose=0)
    options = {**SMALL, "alpha": 0.35, "weights": str(path)}
    assert np.array_equal(build(**options).predict(x, verbose=0), expected)

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    path.rename(tmp_path / "models" / "small.h5")
    file = _frame.File("https://unreachable.invalid/small.h5")
    network = _frame.Network("Small", lambda x, o: x, (file, file))
    assert network.files[0].fetch() == str(tmp_path / "models" / "small.h5")


def test_no_weight_is_drawn_that_a_file_holds(tmp_path, monkeypatch) -> None:
    build = applications.MobileNetV3Small
    build(**SMALL).save_weights(tmp_path / "mine.weights.h5")

    def draw(*args, **kwargs):
        raise AssertionError("drawn")

    monkeypatch.setattr("fastnn.initializers.VarianceScaling.__call__", draw)
    build(**{**SMALL, "weights": tmp_path / "mine.weights.h5"})


def test_without_a_network_the_error_says_where_the_file_belongs(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("fastnn.utils.downloads._PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(imagenet_utils, "_INDEX", "http://127.0.0.1:9/names.json")
    imagenet_utils._class_names.cache_clear()
    with pytest.raises(OSError, match=r"without network put the file at .*index\.json"):
        imagenet_utils.decode_predictions(np.ones((1, 1000)))
    nowhere = _frame.File("http://127.0.0.1:9/resnet50.h5", "0" * 32)
    network = _frame.Network("Nowhere", lambda x, o: x, (nowhere, nowhere))
    with pytest.raises(OSError, match=r"put the file at .*models/resnet50\.h5"):
        applications._builder.usual(network, "")()


# ---- arguments ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ResNet50", {"weights": "no/such.h5"}, "path of a file that exists"),
        ("ResNet50", {"weights": 3}, "weights must be None"),
        ("Xception", {"classes": 5}, "1000 classes, received classes=5.*include_top"),
        ("VGG16", {"classifier_activation": "relu"}, "'softmax' or None"),
        ("VGG16", {"input_shape": (32, 32, 3)}, r"input_shape=\(224, 224, 3\)"),
        (
            "InceptionV3",
            {"weights": None, "input_shape": (74, 80, 3)},
            "at least 75x75",
        ),
        ("Xception", {"weights": None, "input_shape": (70, 80, 3)}, "at least 71x71"),
        ("ResNet50", {"weights": None, "input_shape": (31, 80, 3)}, "at least 32x32"),
        ("MobileNetV3Small", {"input_shape": (31, 31, 3)}, "at least 32x32"),
        ("ResNet50", {"weights": None, "input_shape": (None, 80, 3)}, "without None"),
        ("ResNet50", {"weights": None, "input_shape": (80, 80)}, "three integers"),
        (
            "ResNet50",
            {"include_top": False, "input_shape": (80, 80, 1)},
            "images with 3 channels",
        ),
        ("MobileNet", {"alpha": 0.3}, "alpha 0.25, 0.5, 0.75, 1.0, received 0.3"),
        ("MobileNet", {"depth_multiplier": 2}, "depth_multiplier=1"),
        ("MobileNetV2", {"alpha": 0.3}, "received 0.3"),
        ("MobileNetV3Large", {"alpha": 0.5}, "alpha 0.75, 1.0"),
        ("MobileNetV3Large", {"alpha": 0.75, "minimalistic": True}, "alpha 1.0,"),
        (
            "NASNetMobile",
            {"include_top": False, "input_shape": (None, None, 3)},
            "without None",
        ),
    ],
)
def test_arguments_that_do_not_go_together(name, options, said) -> None:
    with pytest.raises(ValueError, match=said):
        getattr(applications, name)(**options)


def test_an_unusual_number_of_channels_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="1 or 3 channels.* has 5") as caught:
        model = undrawn("VGG16", include_top=False, input_shape=(32, 32, 5))
    assert model.input_shape == (None, 32, 32, 5)
    assert caught[0].filename.endswith("_frame.py") is False


def test_an_unknown_argument_is_named() -> None:
    with pytest.raises(TypeError, match=r"ResNet50\(\) .*'include_tops'"):
        applications.ResNet50(include_tops=False)


def test_signatures_are_seen() -> None:
    seen = inspect.signature(applications.ConvNeXtTiny)
    assert list(seen.parameters)[:3] == ["include_top", "include_preprocessing"] + [
        "weights"
    ]
    assert seen.parameters["name"].default == "convnext_tiny"
    assert applications.ResNet50 is applications.resnet50.ResNet50
    assert applications.ResNet50.__module__ == "fastnn.applications.resnet"
    assert "A Model from images" in applications.NASNetLarge.__doc__


def test_pooling_classes_activation_and_name() -> None:
    options = {**SMALL, "name": "mine"}
    for pooling, shape in ((None, (None, 1, 1, 1280)), ("avg", (None, 1280))):
        model = applications.MobileNetV2(**options, pooling=pooling)
        assert model.output_shape == shape and model.name == "mine"
    model = applications.ResNet50(**{**SMALL, "pooling": "max"})
    assert model.layers[-1].name == "max_pool"
    model = undrawn("VGG16", classes=7, classifier_activation=None)
    assert model.output_shape == (None, 7)
    assert model.layers[-1].activation is keras.activations.linear


def test_images_of_any_size_without_the_classifier() -> None:
    model = applications.MobileNetV2(include_top=False, weights=None, alpha=0.35)
    assert model.input_shape == (None, None, None, 3)
    for rows, columns in ((32, 64), (96, 32)):
        x = np.zeros((1, rows, columns, 3), "float32")
        expected = (1, rows // 32, columns // 32, 1280)
        assert model.predict(x, verbose=0).shape == expected


def test_an_input_tensor_is_where_the_model_begins() -> None:
    image = layers.Input((48, 48, 3), name="picture")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scaled")(image)
    for name in ("MobileNetV2", "MobileNetV3Small", "Xception", "ConvNeXtTiny"):
        if name == "Xception":
            image = layers.Input((80, 80, 3), name="picture")
            x = layers.Rescaling(1 / 127.5, offset=-1, name="scaled")(image)
        model = undrawn(name, include_top=False, input_tensor=x)
        assert [layer.name for layer in model.layers[:2]] == ["picture", "scaled"]
        assert model.inputs[0] is image
    with pytest.raises(ValueError, match="must be that of input_tensor"):
        undrawn(
            "MobileNetV2", include_top=False, input_tensor=x, input_shape=(64, 64, 3)
        )


def test_channels_first_is_the_same_network() -> None:
    utils.set_random_seed(0)
    last = applications.ResNet50(**SMALL)
    config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels last only"):
            applications.DenseNet121(weights=None)
        first = applications.ResNet50(**{**SMALL, "input_shape": (3, 32, 32)})
        assert first.output_shape == (None, 2048, 1, 1)
    finally:
        config.set_image_data_format("channels_last")
    first.set_weights(last.get_weights())
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    a = last.predict(x, verbose=0)
    b = first.predict(np.moveaxis(x, -1, 1), verbose=0)
    np.testing.assert_allclose(np.moveaxis(b, 1, -1), a, rtol=1e-4, atol=1e-5)


# ---- images and predictions --------------------------------------------------------


@pytest.mark.feature("2.5-12")
def test_images_are_prepared_as_in_keras() -> None:
    found = cases.preprocessed(keras)
    for mode, values in GOLDEN["preprocessed"].items():
        np.testing.assert_allclose(found[mode], values, rtol=1e-6, atol=1e-6)
    assert cases.modes(keras) == GOLDEN["modes"]


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_tensors_and_symbolic_tensors_are_prepared_as_arrays_are(mode, dtype) -> None:
    x = cases.image()[None].astype(dtype)
    prepare = imagenet_utils.preprocess_input
    expected = prepare(x.copy(), mode=mode)
    assert expected.dtype == ("float32" if dtype == "uint8" else dtype)
    tolerance = {"rtol": 1e-2, "atol": 0.1} if dtype == "float16" else {"rtol": 1e-5}
    tolerance.setdefault("atol", 1e-5)
    tensor = prepare(ops.convert_to_tensor(x), mode=mode)
    np.testing.assert_allclose(tensor, expected, **tolerance)
    image = layers.Input(x.shape[1:], dtype=dtype)
    model = keras.Model(image, prepare(image, mode=mode))
    np.testing.assert_allclose(model(x), expected, **tolerance)


def test_arrays_of_floats_are_written_over_others_are_not() -> None:
    """Keras says so; a read-only array, at which it fails, is copied."""
    prepare = imagenet_utils.preprocess_input
    x = cases.image()
    assert np.shares_memory(prepare(x, mode="tf"), x) and x.max() <= 1
    x = cases.image()
    x.flags.writeable = False
    assert prepare(x).max() < 256 and np.array_equal(x, cases.image())


def test_unknown_modes_and_layouts() -> None:
    with pytest.raises(ValueError, match="caffe, tf, torch, received 'jax'"):
        imagenet_utils.preprocess_input(cases.image(), mode="jax")
    with pytest.raises(ValueError, match="channels_first, channels_last"):
        applications.vgg16.preprocess_input(cases.image(), data_format="nhwc")


@pytest.mark.feature("2.5-12")
def test_predictions_get_the_names_of_their_classes(tmp_path, monkeypatch) -> None:
    index = {str(i): [f"n{i:08d}", f"class_{i}"] for i in range(1000)}
    text = json.dumps(index).encode()
    (tmp_path / "index.json").write_bytes(text)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(imagenet_utils, "_INDEX", (tmp_path / "index.json").as_uri())
    monkeypatch.setattr(imagenet_utils, "_INDEX_MD5", hashlib.md5(text).hexdigest())
    imagenet_utils._class_names.cache_clear()
    p = np.random.default_rng(0).random((2, 1000)).astype("float32")
    p[0, 7], p[1, 999] = 2, 3
    decode = applications.resnet50.decode_predictions
    first, second = decode(p, top=3)
    assert first[0] == ("n00000007", "class_7", 2) and len(second) == 3
    assert second[0][:2] == ("n00000999", "class_999")
    scores = [score for *_, score in first]
    assert scores == sorted(p[0])[:-4:-1]
    Path(tmp_path / "index.json").unlink()
    assert decode(ops.convert_to_tensor(p), top=1)[1] == second[:1]
    with pytest.raises(ValueError, match=r"\(batch, 1000\).*shape \(2, 10\)"):
        decode(p[:, :10])
    imagenet_utils._class_names.cache_clear()


# ---- what one does with a network --------------------------------------------------


def test_resnet50_is_summarized_drawn_and_saved(tmp_path) -> None:
    model = undrawn("ResNet50")
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "conv5_block3_add" in text and "25,636,712" in text.replace("\n", "")
    assert "53,120" in text  # means and variances
    picture = tmp_path / "resnet50.svg"
    utils.plot_model(model, to_file=str(picture), show_layer_names=True)
    svg = picture.read_text()
    assert all(layer.name in svg for layer in model.layers)


@pytest.mark.parametrize("name", ["InceptionResNetV2", "ConvNeXtTiny"])
def test_layers_of_a_networks_own_are_found_in_configs(name: str) -> None:
    """Under the module that Keras 3.15 writes, and reads."""
    model = undrawn(name, include_top=False)
    home = {
        entry["module"]
        for entry in model.get_config()["layers"]
        if entry["class_name"] in ("CustomScaleLayer", "LayerScale")
    }
    assert home and all(h.startswith("keras.src.applications.") for h in home)
    with weights_limited(sys.maxsize):
        again = keras.Model.from_config(model.get_config())
    assert again.count_params() == model.count_params()
    layer = next(i for i in model.layers if type(i).__name__[-5:] in ("Layer", "Scale"))
    copied = saving.deserialize_keras_object(saving.serialize_keras_object(layer))
    assert type(copied) is type(layer)


@pytest.mark.parametrize("name", ["MobileNetV3Small", "MobileNet", "EfficientNetV2B0"])
def test_plan_and_eager_call_agree(name: str) -> None:
    model = getattr(applications, name)(weights=None, input_shape=(64, 64, 3))
    x = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    p = model.predict(x, verbose=0)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    one = [layer for layer in model.layers if layer.name == "predictions"]
    assert one and p.shape == (2, 1000)
    np.testing.assert_allclose(model(ops.convert_to_tensor(x)), p, rtol=1e-4)
