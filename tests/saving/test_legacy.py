# SPDX-License-Identifier: Apache-2.0
"""Files as Keras 2 wrote them: configs without modules, calls in lists, `kernel:0`."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest

from fastnn import keras, layers
from fastnn.errors import ModelFileError
from fastnn.models import load_model
from fastnn.saving.legacy_configs import modernized

RNG = np.random.default_rng(2)
KERNELS = [RNG.normal(size=s).astype("float32") for s in ((4, 3), (3,), (3, 2), (2,))]
NORM = [RNG.uniform(0.5, 1, 3).astype("float32") for _ in range(4)]


def dense(name, units, **more):
    return {
        "class_name": "Dense",
        "config": {
            "name": name,
            "trainable": True,
            "dtype": "float32",
            "units": units,
            "activation": "relu",
            "use_bias": True,
            "kernel_initializer": {
                "class_name": "GlorotUniform",
                "config": {"seed": None},
            },
            "bias_initializer": {"class_name": "Zeros", "config": {}},
            "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}},
            "kernel_constraint": {
                "class_name": "MaxNorm",
                "config": {"max_value": 1.0, "axis": 0},
            },
            **more,
        },
    }


BATCH_NORM = {
    "class_name": "BatchNormalization",
    "config": {"name": "bn", "axis": [1], "momentum": 0.99, "epsilon": 0.001},
}
SEQUENTIAL = {
    "class_name": "Sequential",
    "config": {
        "name": "sequential",
        "layers": [
            {
                "class_name": "InputLayer",
                "config": {
                    "batch_input_shape": [None, 4],
                    "dtype": "float32",
                    "sparse": False,
                    "ragged": False,
                    "name": "x",
                },
            },
            dense("one", 3),
            BATCH_NORM,
            dense("two", 2),
        ],
    },
}
TRAINING = {
    "loss": "mse",
    "metrics": ["mae"],
    "weighted_metrics": None,
    "loss_weights": None,
    "optimizer_config": {
        "class_name": "Adam",
        "config": {
            "name": "Adam",
            "lr": 0.005,
            "decay": 0.0,
            "beta_1": 0.9,
            "jit_compile": False,
            "is_legacy_optimizer": False,
        },
    },
}
WEIGHTS = {"one": KERNELS[:2], "bn": NORM, "two": KERNELS[2:]}
NAMES = {2: ("kernel", "bias"), 4: ("gamma", "beta", "moving_mean", "moving_variance")}


def write(path, config=SEQUENTIAL, training=TRAINING, names=("x", "one", "bn", "two")):
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
            file.attrs["keras_version"] = "2.11.0"
            group = file.create_group("model_weights")
        else:
            group = file
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        group.attrs["layer_names"] = [name.encode() for name in names]
        for name in names:
            layer, values = group.create_group(name), WEIGHTS.get(name, [])
            paths = [f"{name}/{part}:0" for part in NAMES.get(len(values), ())]
            layer.attrs["weight_names"] = [path.encode() for path in paths]
            for part, value in zip(paths, values, strict=True):
                layer[part] = value
    return path


def expected(x):
    h = np.maximum(x @ KERNELS[0] + KERNELS[1], 0)
    gamma, beta, mean, variance = NORM
    h = (h - mean) / np.sqrt(variance + 0.001) * gamma + beta
    return np.maximum(h @ KERNELS[2] + KERNELS[3], 0)


def test_whole_model(tmp_path):
    model = load_model(write(tmp_path / "m.h5"))
    x = RNG.normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected(x), rtol=1e-5)
    assert [layer.name for layer in model.layers] == ["one", "bn", "two"]
    assert float(model.optimizer.learning_rate) == np.float32(0.005)
    assert model.get_layer("one").kernel_constraint.max_value == 1.0
    assert len(model.fit(x, x[:, :2], verbose=0).history["mae"]) == 1


def test_weights_alone_and_by_name(tmp_path):
    path = write(tmp_path / "w.h5", None, None)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activation="relu", name="one"),
            layers.BatchNormalization(name="other"),
            layers.Dense(2, name="two"),
        ]
    )
    before = model.get_layer("other").get_weights()
    model.load_weights(path, by_name=True)
    np.testing.assert_array_equal(model.get_weights()[0], KERNELS[0])
    for a, b in zip(before, model.get_layer("other").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_layer("other").get_weights()[0], NORM[0])


def test_functional_with_calls_in_lists(tmp_path):
    config = {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [
                {**SEQUENTIAL["config"]["layers"][0], "name": "x", "inbound_nodes": []},
                {
                    **dense("one", 3),
                    "name": "one",
                    "inbound_nodes": [[["x", 0, 0, {}]]],
                },
                {**BATCH_NORM, "name": "bn", "inbound_nodes": [[["one", 0, 0, {}]]]},
                {
                    "class_name": "Add",
                    "config": {"name": "sum"},
                    "name": "sum",
                    "inbound_nodes": [[["one", 0, 0, {}], ["bn", 0, 0, {}]]],
                },
                {
                    **dense("two", 2),
                    "name": "two",
                    "inbound_nodes": [[["sum", 0, 0, {}]]],
                },
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["two", 0, 0]],
        },
    }
    names = ("x", "one", "bn", "sum", "two")
    path = write(tmp_path / "m.h5", config, None, names)
    with pytest.warns(UserWarning, match="compiled"):
        model = load_model(path)
    x = RNG.normal(size=(5, 4)).astype("float32")
    h = np.maximum(x @ KERNELS[0] + KERNELS[1], 0)
    gamma, beta, mean, variance = NORM
    total = h + (h - mean) / np.sqrt(variance + 0.001) * gamma + beta
    want = np.maximum(total @ KERNELS[2] + KERNELS[3], 0)
    np.testing.assert_allclose(model.predict(x, verbose=0), want, rtol=1e-5)


def test_lambda_of_keras_2_is_refused(tmp_path):
    config = json.loads(json.dumps(SEQUENTIAL))
    bad = {"name": "l", "function": ["4wEAAAA=", None, None], "function_type": "lambda"}
    config["config"]["layers"].append({"class_name": "Lambda", "config": bad})
    with pytest.raises(ModelFileError, match=r"layers\[4\].*code"):
        load_model(write(tmp_path / "m.h5", config))


def test_decay_becomes_a_schedule():
    config = {"class_name": "SGD", "config": {"lr": 0.1, "decay": 0.5}}
    rate = modernized({"optimizer": config})["optimizer"]["config"]["learning_rate"]
    made = keras.optimizers.schedules.deserialize(rate)
    assert float(made(2)) == pytest.approx(0.1 / 2)


def test_list_of_layers():
    config = {"class_name": "Sequential", "config": SEQUENTIAL["config"]["layers"]}
    assert len(modernized(config)["config"]["layers"]) == 4
