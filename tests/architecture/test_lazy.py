# SPDX-License-Identifier: Apache-2.0
"""Packages load their names on first use: only what is used, and all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import _lazy, layers, losses, metrics, ops, optimizers
from fastnn._index import NAMES

ROOT = Path(fastnn.__file__).parent
PACKAGES = [f"fastnn.{package}" for package in _lazy.PACKAGES]
ATTACHED = [name for name in PACKAGES if hasattr(import_module(name), "__all__")]


def loaded(code: str) -> set[str]:
    """fastnn's modules after running `code` in a new interpreter."""
    show = "import sys, json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{show}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name in json.loads(run.stdout) if name.startswith("fastnn")}


def members(package: str) -> set[str]:
    """Modules of a package that are neither private nor base classes."""
    folder = ROOT.joinpath(*package.split(".")[1:])
    return {f"{package}.{path.stem}" for path in folder.glob("[a-z]*.py")}


MODEL = "import fastnn; from fastnn.layers import Dense; fastnn.Sequential([Dense(3)])"
DENSE = '{"module": "keras.layers", "class_name": "Dense", "config": {"units": 3}}'

# Code, packages, and which of their modules it may load.
CASES = [
    ("import fastnn", "layers losses metrics optimizers callbacks ops", ""),
    (MODEL, "layers", "dense input input_spec layer"),
    (MODEL, "losses metrics optimizers", "base mean optimizer schedules"),
    (MODEL, "callbacks utils", "callback callback_list history batches"),
    (MODEL, "opset", "pointwise gemm"),
    (MODEL, "ops", "arrays"),
    (f"from fastnn import layers; layers.deserialize({DENSE})", "layers", "+dense"),
    ("from fastnn import losses; losses.get('MSE')", "losses", "+regression"),
    ("from fastnn import optimizers; optimizers.get('adam')", "optimizers", "+adam"),
    ("from fastnn import metrics; metrics.get('AUC')", "metrics", "+auc confusion"),
    (
        "from fastnn import metrics; metrics.get('hinge')",
        "losses",
        "+classification crossentropy regression",
    ),
    ("from fastnn import ops; ops.add(1, 2)", "ops", "arrays pointwise"),
]
# Loaded by every model, loss, ...
BASES = "base layer input input_spec lookup optimizer schedules mean"


@pytest.mark.parametrize(("code", "packages", "allowed"), CASES)
def test_only_what_is_used_is_loaded(code, packages, allowed):
    found = loaded(code)
    names = set(allowed.replace("+", " ").split())
    names |= set(BASES.split()) if "+" in allowed else set()
    for package in (f"fastnn.{p}" for p in packages.split()):
        extra = found & members(package) - {f"{package}.{name}" for name in names}
        assert extra == set()


def test_a_model_needs_half_of_the_modules():
    """Importing one costs 0.1 to 0.2 ms; there were 190, now there are 99."""
    assert len(loaded(MODEL)) < 120


def test_a_model_needs_no_scipy():
    code = f"{MODEL}\nimport sys; print([m for m in sys.modules if 'scipy' in m])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("package", ATTACHED)
def test_every_name_resolves(package):
    module = import_module(package)
    assert len(module.__all__) >= 3
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert callable(getattr(module, name)), name
    star: dict = {}
    exec(f"from {package} import *", star)
    assert set(module.__all__) <= set(star)


@pytest.mark.parametrize("package", ATTACHED)
def test_no_name_is_that_of_a_module(package):
    """The import system would put the module in its place."""
    stems = {name.rpartition(".")[2] for name in members(package)}
    assert set(import_module(package).__all__) & stems == set()


@pytest.mark.parametrize("package", ["fastnn.layers", "fastnn.ops", "fastnn.utils"])
@pytest.mark.parametrize("name", ["Nonsense", "_private", "__nonsense__"])
def test_unknown_names(package, name):
    with pytest.raises(AttributeError, match=f"{package}' has no attribute '{name}'"):
        getattr(import_module(package), name)


def test_a_name_newer_than_the_index_is_found(monkeypatch):
    wanted = layers.Dense
    monkeypatch.delitem(vars(layers), "Dense")
    monkeypatch.delitem(_lazy.homes("keras.layers"), "Dense")
    assert layers.Dense is wanted
    assert "Dense" in layers.__all__


def test_modules_are_attributes():
    assert layers.dense.Dense is layers.Dense
    assert optimizers.schedules.CosineDecay.__name__ == "CosineDecay"
    assert ops.image.resize is not None and ops.numpy.add is ops.add


def test_spellings_are_those_of_the_index():
    assert losses.get("mse") is losses.mean_squared_error is losses.get("MSE")
    assert losses.get("huber_loss") is losses.huber
    assert isinstance(metrics.get("mse"), metrics.MeanSquaredError)
    assert isinstance(metrics.get("r2_score"), metrics.R2Score)
    assert isinstance(optimizers.get("AdamW"), optimizers.AdamW)
    assert isinstance(optimizers.get("rmsprop"), optimizers.RMSprop)


def test_configs_load_what_they_name_and_nothing_else():
    code = """
from fastnn import serialization
made = serialization.deserialize_keras_object({
    "module": "keras.layers", "class_name": "Dense", "config": {"units": 3}})
assert type(made).__name__ == "Dense"
made = serialization.deserialize_keras_object({
    "module": None, "class_name": "GlorotNormal", "config": {"seed": 1}})
assert type(made).__name__ == "GlorotNormal"
"""
    found = loaded(code)
    assert "fastnn.layers.dense" in found
    assert not found & {"fastnn.layers.conv", "fastnn.losses", "fastnn.models"}


@pytest.mark.parametrize("module", [m for m in NAMES if m != "opset"])
def test_homes_of_the_index_define_the_names(module):
    for name, home in _lazy.homes(module).items():
        if not home.endswith(f".{name}"):
            assert hasattr(import_module(home), name) or name in (
                *("normal", "one", "uniform", "zero"),  # of configs only
            ), (home, name)


def test_an_op_and_its_aliases_are_one():
    assert ops.absolute is ops.abs and ops.numpy.absolute is ops.abs
    np.testing.assert_array_equal(ops.absolute(np.array([-1.0, 2.0])).numpy(), [1, 2])
