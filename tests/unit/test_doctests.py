# SPDX-License-Identifier: Apache-2.0
"""Every example in a docstring runs and gives what it says."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pytest

import fastnn
from fastnn import keras, ops, tf

NAMES = {"fastnn": fastnn, "keras": keras, "np": np, "ops": ops, "tf": tf}
# Packages that need what a test environment may lack are no place for examples.
SKIPPED = ("fastnn.onnx", "fastnn.selftest", "fastnn.libfastnn")


def examples() -> dict[str, doctest.DocTest]:
    """Object -> its example, in the modules' own code."""
    parser, found = doctest.DocTestParser(), {}
    for info in walk_packages(fastnn.__path__, "fastnn."):
        if info.name.startswith(SKIPPED):
            continue
        module = import_module(info.name)
        for name, value in vars(module).items():
            own = getattr(value, "__module__", None) == info.name
            if not own or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            text = inspect.getdoc(value) if "__doc__" in dir(value) else None
            if value.__doc__ and ">>>" in value.__doc__:
                path = f"{info.name}.{name}"
                found[path] = parser.get_doctest(text, dict(NAMES), path, None, 0)
    return found


FOUND = examples()

# What a beginner looks up first must show how it is used.
WANTED = """
Input Model Sequential
layers.Activation layers.Add layers.AveragePooling2D layers.BatchNormalization
layers.Bidirectional layers.Concatenate layers.Conv1D layers.Conv2D
layers.Conv2DTranspose layers.Dense layers.DepthwiseConv2D layers.Dropout
layers.Embedding layers.Flatten layers.GRU layers.GlobalAveragePooling2D layers.LSTM
layers.Lambda layers.Layer layers.LayerNormalization layers.LeakyReLU layers.Masking
layers.MaxPooling2D layers.MultiHeadAttention layers.Normalization layers.Rescaling
layers.Reshape layers.SeparableConv2D layers.SimpleRNN layers.TimeDistributed
layers.UpSampling2D layers.ZeroPadding2D
losses.BinaryCrossentropy losses.CategoricalCrossentropy losses.Huber
losses.MeanAbsoluteError losses.MeanSquaredError losses.SparseCategoricalCrossentropy
metrics.AUC metrics.Mean metrics.MeanIoU metrics.Precision metrics.Recall
metrics.SparseCategoricalAccuracy
optimizers.Adam optimizers.SGD optimizers.schedules.CosineDecay
optimizers.schedules.ExponentialDecay optimizers.schedules.PiecewiseConstantDecay
callbacks.EarlyStopping callbacks.LambdaCallback callbacks.LearningRateScheduler
regularizers.L1 regularizers.L2
constraints.MaxNorm constraints.NonNeg
callbacks.ModelCheckpoint callbacks.ReduceLROnPlateau
models.clone_model
optimizers.AdamW optimizers.RMSprop optimizers.schedules.OneCycle
utils.PyDataset utils.find_learning_rate utils.normalize utils.pad_sequences
utils.set_random_seed utils.split_dataset utils.to_categorical
""".split()


@pytest.mark.parametrize("path", FOUND)
def test_the_example_gives_what_it_says(path: str) -> None:
    keras.backend.clear_session()  # automatic names count from 0
    keras.utils.set_random_seed(0)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(FOUND[path], out=report.append)
    assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", WANTED)
def test_what_beginners_look_up_has_an_example(name: str) -> None:
    value: Any = keras
    for part in name.split("."):
        value = getattr(value, part)
    assert f"{value.__module__}.{value.__name__}" in FOUND


def test_no_example_is_text_only() -> None:
    """One without prompts would not be run."""
    for path, found in FOUND.items():
        assert found.examples, path
    for info in walk_packages(fastnn.__path__, "fastnn."):
        if info.name.startswith(SKIPPED):
            continue
        for name, value in vars(import_module(info.name)).items():
            text = getattr(value, "__doc__", None)
            if inspect.isclass(value) and text and "Example:\n" in text:
                assert ">>>" in text, f"{info.name}.{name}"


MODULES = """activations callbacks classic config constraints initializers layers
    losses metrics models ops ops.image ops.linalg ops.nn ops.numpy optimizers
    optimizers.schedules random regularizers saving tf tree utils
    visualization""".split()


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_says_what_it_is(module: str) -> None:
    """A docstring of its own."""
    space = import_module(f"fastnn.{module}")
    listed = getattr(space, "__all__", None)
    silent = []
    for name in listed or [n for n in dir(space) if n[0] != "_"]:
        value = getattr(space, name)
        home = str(getattr(value, "__module__", ""))
        own = home.startswith("fastnn.") if listed else home == f"fastnn.{module}"
        if callable(value) and own:
            of_class = inspect.isclass(value)
            text = vars(value).get("__doc__") if of_class else value.__doc__
            silent += [] if text and text.strip() else [name]
    assert not silent
