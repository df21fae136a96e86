# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

import fastnn
from fastnn import (
    _names,
    activations,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
)
from fastnn import serialization as s
from fastnn.errors import SerializationError

MODULES = {
    "keras.activations": activations,
    "keras.constraints": constraints,
    "keras.initializers": initializers,
    "keras.losses": losses,
    "keras.metrics": metrics,
    "keras.optimizers": optimizers,
    "keras.optimizers.schedules": optimizers.schedules,
    "keras.regularizers": regularizers,
}
ARGUMENTS = {
    "CosineDecay": (0.1, 10),
    "CosineDecayRestarts": (0.1, 10),
    "ExponentialDecay": (0.1, 10, 0.5),
    "InverseTimeDecay": (0.1, 10, 0.5),
    "IoU": (3, [0, 1]),
    "LossFunctionWrapper": (losses.mean_squared_error,),
    "LossScaleOptimizer": (optimizers.SGD(),),
    "MeanIoU": (3,),
    "MeanMetricWrapper": (losses.mean_squared_error,),
    "MultiOptimizer": (
        optimizers.OptimizerMap(optimizers.SGD(), {"a": optimizers.Adam()}),
    ),
    "OneCycle": (0.1, 10),
    "OneHotIoU": (3, [0]),
    "OneHotMeanIoU": (3,),
    "OptimizerMap": (optimizers.Adam(), {"b.*": optimizers.SGD()}),
    "PiecewiseConstantDecay": ([1, 2], [0.1, 0.2, 0.3]),
    "PolynomialDecay": (0.1, 10),
    "PrecisionAtRecall": (0.5,),
    "RecallAtPrecision": (0.5,),
    "SensitivityAtSpecificity": (0.5,),
    "SpecificityAtSensitivity": (0.5,),
}
ABSTRACT = {
    "Constraint",
    "Initializer",
    "LearningRateSchedule",
    "Loss",
    "Metric",
    "Optimizer",
    "Regularizer",
}
EXPORTED = sorted({(m, o.__name__) for m in MODULES for o in s.exported(m).values()})


def by_json(obj):
    return json.loads(json.dumps(s.serialize_keras_object(obj)))


@pytest.mark.parametrize(("module", "name"), EXPORTED)
def test_round_trip_of_everything_exported(module, name):
    obj = s.exported(module)[name]
    if not isinstance(obj, type):
        assert s.deserialize_keras_object(by_json(obj)) is obj
        return
    if name in ABSTRACT:
        return
    first = obj(*ARGUMENTS.get(name, ()))
    config = by_json(first)
    assert (config["module"], config["class_name"]) == (module, name)
    assert config["registered_name"] is None
    second = s.deserialize_keras_object(config)
    assert type(second) is obj
    assert by_json(second) == config


def test_shape_of_the_json_is_that_of_keras():
    # As keras.saving.serialize_keras_object writes it (Keras 3.15).
    rate = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert s.serialize_keras_object(rate) == {
        "module": "keras.optimizers.schedules",
        "class_name": "ExponentialDecay",
        "config": {
            "initial_learning_rate": 0.1,
            "decay_steps": 10,
            "decay_rate": 0.5,
            "staircase": False,
            "name": "ExponentialDecay",
        },
        "registered_name": None,
    }
    assert s.serialize_keras_object(losses.mean_squared_error) == {
        "module": "builtins",
        "class_name": "function",
        "config": "mean_squared_error",
        "registered_name": "function",
    }
    assert activations.serialize(activations.relu) == "relu"


@pytest.mark.parametrize(
    "module", ["keras.losses", "keras.src.losses.losses", "fastnn.losses", None]
)
def test_spellings_of_a_module(module):
    config = {"module": module, "class_name": "Huber", "config": {"delta": 2.0}}
    loss = s.deserialize_keras_object(config)
    assert type(loss) is losses.Huber
    assert loss.delta == 2.0


def test_name_in_two_modules_needs_the_module_or_its_table():
    config = {"class_name": "MeanSquaredError", "config": {}}
    with pytest.raises(SerializationError, match=r"keras\.losses"):
        s.deserialize_keras_object(config)
    assert type(losses.deserialize(config)) is losses.MeanSquaredError
    assert type(metrics.deserialize(config)) is metrics.MeanSquaredError


@pytest.mark.parametrize(
    "value",
    [None, 3, 2.5, True, "relu", [1, [2]], {"a": {"b": 1}}, b"bytes", slice(1, 5, 2)],
)
def test_plain_values(value):
    assert s.deserialize_keras_object(by_json(value)) == value


def test_special_values():
    back = s.deserialize_keras_object(by_json(np.arange(6.0).reshape(2, 3)))
    np.testing.assert_array_equal(back, [[0, 1, 2], [3, 4, 5]])
    assert back.dtype == "float64"
    assert by_json(np.float32(0.5)) == 0.5
    assert by_json(np.dtype("int32")) == "int32"
    assert s.deserialize_keras_object(by_json(...)) is Ellipsis
    assert s.serialize_keras_object((1, (2,))) == (1, (2,))


def test_lambdas_are_refused_both_ways():
    with pytest.raises(SerializationError, match="lambda cannot be saved"):
        s.serialize_keras_object(lambda x: x)
    config = {"class_name": "__lambda__", "config": {"value": ["4wA="]}}
    for safe_mode in (True, False):
        with pytest.raises(SerializationError, match="never runs code"):
            s.deserialize_keras_object(config, safe_mode=safe_mode)


@pytest.mark.parametrize("module", ["os", "builtins", "subprocess", "keras.utils"])
def test_a_config_cannot_name_code_outside_the_tables(module):
    config = {"module": module, "class_name": "function", "config": "system"}
    with pytest.raises(SerializationError, match="unknown function 'system'"):
        s.deserialize_keras_object(config)


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def get_config(self):
        return {"factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def test_custom_class_needs_its_name():
    config = by_json(Scale(3))
    assert config["registered_name"] == "Scale"
    with pytest.raises(SerializationError, match="unknown class 'Scale'"):
        s.deserialize_keras_object(config)
    assert s.deserialize_keras_object(config, {"Scale": Scale}).factor == 3
    with s.custom_object_scope({"Scale": Scale}):
        assert s.deserialize_keras_object(config).factor == 3
    with pytest.raises(SerializationError):
        s.deserialize_keras_object(config)


def test_what_a_config_lacks_is_named():
    for name in ("LossScaleOptimizer", "MultiOptimizer"):
        with pytest.raises(TypeError, match=rf"{name} rejects .* no entry '\w+'"):
            s.deserialize_keras_object({"class_name": name, "config": {}})


def test_registered_objects():
    @s.register_keras_serializable("pkg")
    class Shift(Scale):
        pass

    @s.register_keras_serializable("pkg", name="twice")
    def double(x):
        return 2 * x

    try:
        assert s.get_registered_name(Shift) == "pkg>Shift"
        assert s.get_registered_object("pkg>twice") is double
        config = by_json([Shift(2), double])
        assert config[0]["registered_name"] == "pkg>Shift"
        shift, function = s.deserialize_keras_object(config)
        assert (type(shift), shift.factor, function) == (Shift, 2, double)
    finally:
        for name in ("pkg>Shift", "pkg>twice"):
            del s.get_custom_objects()[name]


def test_registering_needs_get_config():
    with pytest.raises(SerializationError, match="get_config"):
        s.register_keras_serializable()(type("Bare", (), {}))


def test_shared_objects_stay_shared():
    shared = Scale(1)
    with s.ObjectSharingScope():
        config = json.loads(json.dumps(s.serialize_keras_object([shared, shared])))
    with s.ObjectSharingScope():
        a, b = s.deserialize_keras_object(config, {"Scale": Scale})
    assert a is b
    a, b = s.deserialize_keras_object(config, {"Scale": Scale})
    assert a is not b


@pytest.mark.parametrize(
    ("get", "name", "suggestion"),
    [
        (losses.get, "mean_square_error", "mean_squared_error"),
        (activations.get, "reluu", "relu"),
        (optimizers.get, "adm", "adam"),
        (initializers.get, "glorot_unifrom", "glorot_uniform"),
        (metrics.get, "acuracy", "accuracy"),
        (regularizers.get, "l3", "l2"),
        (constraints.get, "maxnorm", "max_norm"),
    ],
)
def test_unknown_names_list_near_ones(get, name, suggestion):
    with pytest.raises(ValueError, match=f"Did you mean .*'{suggestion}'"):
        get(name)


@pytest.mark.parametrize(
    "get",
    [losses.get, initializers.get, metrics.get, regularizers.get, constraints.get],
)
def test_get_of_none_callable_and_nonsense(get):
    assert get(None) is None
    assert get(abs) is abs
    with pytest.raises(ValueError, match="cannot interpret"):
        get(3.5)


def test_get_makes_instances_of_classes():
    assert type(losses.get("MeanSquaredError")) is losses.MeanSquaredError
    assert losses.get("mse") is losses.mean_squared_error
    assert type(metrics.get("mse")) is metrics.MeanSquaredError
    assert type(initializers.get(initializers.HeNormal)) is initializers.HeNormal
    assert type(constraints.get("nonneg")) is constraints.NonNeg
    assert type(optimizers.get("RMSProp")) is optimizers.RMSprop
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu


def test_automatic_names():
    _names.clear_session()
    assert [_names.auto_name("Dense") for _ in range(3)] == [
        "dense",
        "dense_1",
        "dense_2",
    ]
    assert _names.to_snake_case("GlobalAveragePooling2D") == (
        "global_average_pooling2d"
    )
    assert (_names.get_uid("x"), _names.get_uid("x")) == (1, 2)


def test_seeds_repeat():
    import random

    def draw():
        values = [fastnn.seeds.next_seed() for _ in range(3)]
        return values, random.random(), np.random.random()

    fastnn.utils.set_random_seed(7)
    first = draw()
    fastnn.utils.set_random_seed(7)
    assert draw() == first
    assert len(set(first[0])) == 3
    fastnn.utils.set_random_seed(8)
    assert draw() != first
    for wrong in (-1, 2**32, 1.5, True):
        with pytest.raises(ValueError, match="set_random_seed"):
            fastnn.utils.set_random_seed(wrong)


@pytest.mark.parametrize("name", ["relu", "exp", "softmax", "sin"])
def test_functions_of_ops_are_saved_by_name(name, tmp_path):
    """`activation=tf.nn.relu` is the activation; others are looked up in ops."""
    dense = layers.Dense(2, activation=getattr(ops, name))
    config = dense.get_config()["activation"]
    if name in ("relu", "softmax"):
        assert config == name
    else:
        assert (config["class_name"], config["config"]) == ("function", name)
    model = models.Sequential([layers.Input((3,)), dense])
    model.save(tmp_path / "m.keras")
    again = models.load_model(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    np.testing.assert_array_equal(again(x), model(x))
