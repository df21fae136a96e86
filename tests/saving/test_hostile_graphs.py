# SPDX-License-Identifier: Apache-2.0
"""What the config of a model may name, and what it may have computed: hostile ones."""

from __future__ import annotations

import time
import zipfile

import pytest
from saving_cases import function, refused, with_config

from fastnn import _lazy, _registry, keras, layers, ops
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


@pytest.mark.parametrize("name", CONSTANT)
def test_nothing_is_computed_while_a_graph_is_read(name, tmp_path):
    """A call without a result of another layer would run, with what the file says."""
    class_name, args = CONSTANT[name]
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(ops.exp(inputs)))
    model.save(tmp_path / "sound.keras")
    with zipfile.ZipFile(tmp_path / "sound.keras") as file:
        members = {n: file.read(n) for n in file.namelist()}

    def change(config):
        called = config["config"]["layers"][1]
        called["class_name"] = called["registered_name"] = class_name
        called["config"] = {"name": called["config"]["name"]}
        if class_name == "UpSampling1D":
            called["module"], called["registered_name"] = "keras.layers", None
            called["config"]["size"] = 10**10
        called["inbound_nodes"] = [{"args": args, "kwargs": {}}]

    began = time.perf_counter()
    path = with_config(members, tmp_path, change)
    refused(path, "takes no result of another layer")
    assert time.perf_counter() - began < 5
