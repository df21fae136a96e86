# SPDX-License-Identifier: Apache-2.0
"""What the config of a model may name, and what it may have computed: hostile ones."""

from __future__ import annotations

import zipfile

import pytest
from file_costs import measured
from saving_cases import function, with_config

from fastnn import _lazy, _registry, keras, layers, ops
from fastnn.errors import ModelFileError
from fastnn.models import load_model
from fastnn.serialization import _function_of, unknown_objects


def test_functions_of_files_are_activations_losses_and_metrics():
    """Whatever else fastnn exports: each function that a config can name."""
    _lazy.load_everywhere()
    for path, found in _registry._objects.items():
        module, _, name = path.rpartition(".")
        homes = ("keras.activations.", "keras.losses.", "keras.metrics.")
        config = function(module, name)
        known = not list(unknown_objects(config))
        if known and not path.startswith(homes):
            one = _function_of(config, {})
            home = f"{one.__module__}"
            assert home.startswith(("fastnn.activations", "fastnn.ops.")), path
            assert home.removeprefix("fastnn.ops.") in ("pointwise", "activation"), path
        assert not (known and isinstance(found, type))


CONSTANT = {
    "an array": ("Ones", [[40_000, 40_000]]),
    "a loop": ("ForiLoop", [0, 10**9, function("keras.ops", "maximum"), 1.0]),
    "a function without operands": ("Arange", [10**10]),
    "a layer": ("UpSampling1D", [[[1.0]]]),
}


@pytest.fixture
def called(tmp_path):
    """Loads a model in which another operation or layer is called."""
    inputs = keras.Input((8, 8, 3))
    outputs = layers.GlobalMaxPooling2D()(ops.exp(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "sound.keras")
    with zipfile.ZipFile(tmp_path / "sound.keras") as file:
        members = {n: file.read(n) for n in file.namelist()}

    def attempt(class_name, args, options, text):
        def change(config):
            one = config["config"]["layers"][1]
            tensor = one["inbound_nodes"][0]["args"][0]
            one["class_name"] = one["registered_name"] = class_name
            one["config"] = {"name": one["config"]["name"], **options}
            if class_name == "UpSampling1D":
                one["module"], one["registered_name"] = "keras.layers", None
            given = [tensor if a == "TENSOR" else a for a in args]
            one["inbound_nodes"] = [{"args": given, "kwargs": {}}]

        path = with_config(members, tmp_path, change)
        error, seconds, memory = measured(lambda: load_model(path))
        assert isinstance(error, ModelFileError) and text in str(error)
        assert seconds < 5 and memory < 64 << 20

    return attempt


@pytest.mark.parametrize("name", CONSTANT)
def test_nothing_is_computed_while_a_graph_is_read(name, called):
    """A call without a result of another layer would run, with what the file says."""
    class_name, args = CONSTANT[name]
    options = {"size": 10**10} if class_name == "UpSampling1D" else {}
    called(class_name, args, options, "takes no result of another layer")


LARGE = {
    "AdaptiveAveragePool": {"output_size": [10**8, 10**8]},
    "AdaptiveMaxPool": {"output_size": 10**8},
    "ArraySplit": {"indices_or_sections": 10**8},
    "ElasticTransform": {"sigma": 10**8},
    "ExtractSequences": {"sequence_length": 10**8, "sequence_stride": 1},
    "GaussianBlur": {"kernel_size": [10**8, 10**8]},
    "Histogram": {"bins": 10**8},
    "Linspace": {"num": 10**8},
    "Logspace": {"num": 10**8},
    "STFT": {"sequence_length": 1, "sequence_stride": 1, "fft_length": 10**8},
    "Unfold": {"kernel_size": 10**4, "padding": 10**4},
}


@pytest.mark.parametrize("name", LARGE)
def test_sizes_that_ops_ask_for_are_limited(name, called):
    """Some make tables for them, or go over them, before there is any data."""
    args = ["TENSOR", "TENSOR"] if name.endswith("space") else ["TENSOR"]
    called(name, args, LARGE[name], "a file may ask for")
