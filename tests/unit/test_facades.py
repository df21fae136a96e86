# SPDX-License-Identifier: Apache-2.0
"""The facades hold names that exist, and nothing of their own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import keras, layers, models, tf


@pytest.mark.parametrize("facade", [keras, tf])
def test_every_name_resolves(facade):
    for name in facade.__all__:
        assert getattr(facade, name) is not None or name == "newaxis", name
    assert dir(facade) == sorted(facade.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        facade.nonsense  # noqa: B018


def test_keras_names_are_fastnns_objects():
    assert keras.layers is layers and keras.models is models
    assert keras.Sequential is models.Sequential
    assert keras.layers.Dense is layers.Dense
    assert keras.__version__ == fastnn.__version__


def test_facades_load_nothing_by_themselves():
    code = (
        "import sys, fastnn.keras, fastnn.tf\n"
        "print(sorted(m for m in ('fastnn.layers', 'fastnn.ops') if m in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_tf_names_take_tensorflows_positional_arguments():
    x = np.array([[1.0, -2.0], [3.0, 4.0]], "float32")
    t = tf.constant(x)
    cases = [
        (tf.reduce_sum(t, 1), x.sum(1)),
        (tf.reduce_mean(t, 0, True), x.mean(0, keepdims=True)),
        (tf.reduce_max(t), x.max()),
        (tf.transpose(t, [1, 0]), x.T),
        (tf.concat([t, t], 1), np.concatenate([x, x], 1)),
        (tf.clip_by_value(t, -1.0, 2.0), np.clip(x, -1, 2)),
        (tf.matmul(t, t), x @ x),
        (tf.pow(t, 2.0), x**2),
        (tf.fill([2, 3], 9.0), np.full((2, 3), 9.0)),
        (tf.range(1, 7, 2), np.arange(1, 7, 2)),
        (tf.one_hot([0, 2], 3), np.eye(3)[[0, 2]]),
        (tf.cast(t, tf.int32), x.astype("int32")),
        (tf.where(t > 0.0, t, tf.zeros_like(t)), np.maximum(x, 0)),
        (tf.squeeze(tf.expand_dims(t, 0), 0), x),
        (tf.stack([t, t], 0), np.stack([x, x])),
        (tf.identity(t), x),
    ]
    for got, expected in cases:
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_tf_tape():
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = tf.square(x)
    assert float(tape.gradient(y, x)) == 6.0


@pytest.mark.parametrize(
    "line",
    [
        "from fastnn.{}layers import Dense as {}",
        "from fastnn.{}models import Sequential as {}",
        "from fastnn.{}datasets import mnist as {}",
        "from fastnn.{}optimizers.schedules import ExponentialDecay as {}",
        "import fastnn.{}layers as {}",
        "import fastnn.{}datasets.mnist as {}",
    ],
)
def test_only_the_import_line_of_a_script_changes(line):
    code = [line.format("keras.", "x"), line.format("", "y"), "assert x is y"]
    code += ["assert 'keras' not in str(getattr(x, '__spec__', ''))"]
    subprocess.run([sys.executable, "-c", "\n".join(code)], check=True)


@pytest.mark.parametrize(
    "name", ["fastnn.keras.nonsense", "fastnn.keras.layers.nonsense"]
)
def test_modules_that_do_not_exist_are_named_as_asked_for(name):
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{name}'"):
        __import__(name)
