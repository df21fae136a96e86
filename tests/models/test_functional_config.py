# SPDX-License-Identifier: Apache-2.0
"""Configs of functional models are Keras 3's; clones; the table with connections."""

from __future__ import annotations

import json

import functional_cases as cases
import numpy as np
import pytest

import fastnn
from fastnn import keras, layers, ops
from fastnn.errors import SerializationError

GOLDEN = json.loads(cases.GOLDEN.read_text())
# Of layers: Keras writes more, and dtypes as policies.
OURS = ("name", "trainable", "units", "activation", "use_bias", "batch_shape")


def as_json(config):
    return json.loads(json.dumps(config))


def assert_same_layers(mine, theirs):
    names = [[x["config"]["name"] for x in side] for side in (mine, theirs)]
    assert names[0] == names[1]
    for one, other in zip(mine, theirs, strict=True):
        assert one["class_name"] == other["class_name"]
        if one["class_name"] != "Penalty":  # its module is where the class is
            assert one["module"] == other["module"]
        nodes = other.get("inbound_nodes", [])
        for node in nodes:
            node["kwargs"].pop("mask", None)
        assert one.get("inbound_nodes", []) == nodes
        if "layers" in one["config"]:
            assert_same_layers(one["config"]["layers"], other["config"]["layers"])
        elif one["module"].startswith("keras.src.ops"):
            assert one["config"] == other["config"]
        else:
            given = {k: v for k, v in other["config"].items() if k in OURS}
            assert given.items() <= one["config"].items()


@pytest.mark.parametrize("name", cases.CASES)
def test_config_is_that_of_keras(name):
    fastnn.utils.clear_session()
    config = as_json(cases.CASES[name](keras).model.get_config())
    want = json.loads(json.dumps(GOLDEN[name]["config"]))
    for key in ("name", "trainable", "input_layers", "output_layers"):
        assert config[key] == want[key]
    assert_same_layers(config["layers"], want["layers"])


def custom_objects(model):
    return {
        type(layer).__name__: type(layer)
        for layer in model.layers
        if not type(layer).__module__.startswith("fastnn")
    }


@pytest.mark.parametrize("source", ["own", "keras"])
@pytest.mark.parametrize("name", cases.CASES)
def test_model_from_config_computes_the_same(name, source):
    case = cases.CASES[name](keras)
    config = GOLDEN[name]["config"]
    if source == "own":
        config = as_json(case.model.get_config())
    before = json.dumps(config)
    model = keras.Model.from_config(config, custom_objects(case.model))
    assert json.dumps(config) == before  # not used up
    assert type(model).__name__ == "Functional" and model.name == config["name"]
    model.set_weights([np.array(w, "float32") for w in GOLDEN[name]["weights"]])
    got = cases.flat(model.predict(case.x, verbose=0))
    for mine, theirs in zip(got, GOLDEN[name]["predict"], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=2e-6)
    again = as_json(model.get_config())
    assert again["layers"] == as_json(case.model.get_config())["layers"] or (
        source == "keras"
    )


@pytest.mark.parity
@pytest.mark.parametrize("name", cases.CASES)
def test_keras_reads_the_config(name):
    real = pytest.importorskip("keras")
    case = cases.CASES[name](keras)
    theirs = cases.CASES[name](real).model
    model = real.Model.from_config(
        as_json(case.model.get_config()), custom_objects(theirs)
    )
    cases.start(case.model)
    cases.start(model)
    got = cases.flat(model.predict(case.x, verbose=0))
    want = cases.flat(case.model.predict(case.x, verbose=0))
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


class TestConfig:
    def test_calls_in_another_order_than_layers(self):
        # first(second(first(x))): no layer can make all its calls at once.
        x = fastnn.Input((3,))
        first, second = layers.Dense(3, name="first"), layers.Dense(3, name="second")
        model = fastnn.Model(x, first(second(first(x))))
        again = fastnn.Model.from_config(as_json(model.get_config()))
        again.set_weights(model.get_weights())
        data = np.ones((2, 3), "float32")
        np.testing.assert_array_equal(again(data), model(data))

    def test_constants_keyword_tensors_and_options(self):
        class Scaled(layers.Layer):
            def call(self, inputs, factor=None):
                return inputs * factor

        x, f = fastnn.Input((4,)), fastnn.Input((1,))
        y = Scaled(name="scaled")(x, factor=f)
        y = y + np.arange(4.0) + fastnn.Tensor(np.ones(4, "float32"))
        y = ops.expand_dims(ops.clip(y, -1, 2), axis=-1)[:, ::-1, 0]
        model = fastnn.Model([x, f], y)
        config = as_json(model.get_config())
        again = fastnn.Model.from_config(config, {"Scaled": Scaled})
        data = [np.ones((2, 4), "float32"), np.full((2, 1), 0.5, "float32")]
        np.testing.assert_array_equal(again(data), model(data))
        assert as_json(again.get_config()) == {**config, "name": again.name}

    def test_a_subclass_comes_back(self):
        class Mine(fastnn.Model):
            def train_step(self, data):
                return {"mine": ops.zeros(())}

        x = fastnn.Input((4,))
        model = Mine(x, layers.Dense(2)(x), name="mine")
        assert type(model) is Mine
        assert type(Mine.from_config(as_json(model.get_config()))) is Mine

    def test_frozen_parts_stay_frozen(self):
        x = fastnn.Input((4,))
        frozen = layers.Dense(3, trainable=False)
        model = fastnn.Model(x, layers.Dense(2)(frozen(x)))
        again = fastnn.Model.from_config(as_json(model.get_config()))
        assert len(again.trainable_weights) == 2

    def test_broken_configs_are_refused(self):
        x = fastnn.Input((4,), name="x")
        config = as_json(fastnn.Model(x, layers.Dense(2, name="d")(x)).get_config())
        node = config["layers"][1]["inbound_nodes"][0]
        node["args"][0]["config"]["keras_history"] = ["d", 0, 0]
        with pytest.raises(SerializationError, match="the calls of d need"):
            fastnn.Model.from_config(config)
        config["layers"][1] = {
            "module": "keras.src.ops.numpy",
            "class_name": "Nonsense",
            "config": {},
            "name": "n",
        }
        with pytest.raises(SerializationError, match="no function for"):
            fastnn.Model.from_config(config)


class TestClone:
    def test_clone_has_its_own_weights(self):
        case = cases.nested(keras)
        cases.start(case.model)
        clone = keras.models.clone_model(case.model)
        assert [x.name for x in clone.layers] == [x.name for x in case.model.layers]
        assert clone.get_layer("out") is not case.model.get_layer("out")
        clone.set_weights(case.model.get_weights())
        np.testing.assert_array_equal(
            clone.predict(case.x, verbose=0), case.model.predict(case.x, verbose=0)
        )

    def test_shared_layers_stay_shared(self):
        clone = keras.models.clone_model(cases.siamese(keras).model)
        assert len(clone.weights) == 4

    def test_functions_and_inputs(self):
        model = cases.residual(keras).model

        def widen(layer):
            config = layer.get_config()
            if layer.name == "out":
                config["units"] = 5
            return type(layer).from_config(config)

        assert keras.models.clone_model(model, clone_function=widen).output_shape == (
            None,
            5,
        )
        calls = []

        def call(layer, *args, **kwargs):
            calls.append(layer.name)
            return layer(*args, **kwargs)

        x = keras.Input((6, 4), batch_size=2)
        clone = keras.models.clone_model(
            model, x, clone_function=lambda layer: layer, call_function=call
        )
        assert clone.output_shape == (2, 3) and len(calls) == 20
        assert clone.get_layer("out") is model.get_layer("out")

    def test_recursive(self):
        seen = []

        def keep(layer):
            seen.append(layer.name)
            return type(layer).from_config(layer.get_config())

        model = cases.nested(keras).model
        keras.models.clone_model(model, clone_function=keep, recursive=True)
        assert {"inner_dense", "stack_0", "stack_1", "out"} <= set(seen)
        assert not {"inner", "stack"} & set(seen)

    def test_sequential_and_compilation(self):
        model = fastnn.Sequential([fastnn.Input((4,)), layers.Dense(2, name="d")])
        model.compile(keras.optimizers.SGD(0.5), "mse", metrics=["mae"])
        clone = keras.models.clone_model(model)
        assert clone.input_shape == (None, 4) and clone.compiled
        assert clone.optimizer is not model.optimizer
        assert float(clone.optimizer.learning_rate) == 0.5
        data = np.ones((4, 4), "float32")
        assert set(clone.fit(data, data[:, :2], verbose=0).history) == {"loss", "mae"}

    def test_subclassed_models_have_no_known_layers(self):
        class Net(fastnn.Model):
            def call(self, inputs):
                return inputs

        assert isinstance(keras.models.clone_model(Net()), Net)
        with pytest.raises(ValueError, match="defined by its call"):
            keras.models.clone_model(Net(), clone_function=lambda layer: layer)


class TestSummary:
    @pytest.mark.parametrize("name", cases.CASES)
    def test_is_that_of_keras(self, name):
        fastnn.utils.clear_session()
        lines = []
        model = cases.CASES[name](keras).model
        model.summary(print_fn=lines.append, line_length=110)
        want = GOLDEN[name]["summary"].rstrip().split("\n")
        assert lines == [line.rstrip() for line in want]

    def test_a_chain_needs_no_connections(self):
        x = fastnn.Input((4,), name="x")
        lines = []
        fastnn.Model(x, layers.Dense(2, name="d")(x)).summary(print_fn=lines.append)
        assert "x (InputLayer)" in lines[4] and "Connected" not in "".join(lines)

    def test_nested_models_expand(self):
        lines = []
        cases.nested(keras).model.summary(
            line_length=120,
            print_fn=lines.append,
            expand_nested=True,
            show_trainable=True,
        )
        text = "\n".join(lines)
        assert "└ inner_dense (Dense)" in text and "└ stack_1 (Dense)" in text
        assert "Train" in lines[2] and "Connected to" in lines[2]
