# SPDX-License-Identifier: Apache-2.0
"""Sequential: composition, deferred building, shapes and configs."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from fastnn import layers, models, ops
from fastnn.errors import NotBuiltError, ShapeError
from fastnn.models import Model, Sequential
from fastnn.serialization import deserialize_keras_object, serialize_keras_object

X = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")


def stack():
    return [layers.Dense(3, activation="relu", name="a"), layers.Dense(2, name="b")]


class TestComposition:
    @pytest.mark.feature("1B-5")
    def test_list_and_add_are_the_same(self):
        listed = Sequential(stack())
        added = Sequential()
        for layer in stack():
            added.add(layer)
        for model in (listed, added):
            assert [layer.name for layer in model.layers] == ["a", "b"]
            assert model(X).shape == (6, 2)

    def test_output_is_the_composition(self):
        model = Sequential([layers.Input((4,)), *stack()])
        (k1, b1, k2, b2) = (w.astype("float64") for w in model.get_weights())
        expected = np.maximum(X @ k1 + b1, 0) @ k2 + b2
        np.testing.assert_allclose(model(X).numpy(), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize(
        "first",
        [
            lambda: [layers.Input((28, 28)), layers.Flatten()],
            lambda: [layers.Input(batch_shape=(None, 28, 28)), layers.Flatten()],
            lambda: [layers.InputLayer(input_shape=[28, 28]), layers.Flatten()],
            lambda: [layers.InputLayer(shape=[28, 28]), layers.Flatten()],
            lambda: [layers.Flatten(input_shape=[28, 28])],
            lambda: [layers.Flatten(batch_input_shape=[None, 28, 28])],
        ],
    )
    def test_every_spelling_of_the_input_shape_builds_at_once(self, first):
        model = Sequential([*first(), layers.Dense(300), layers.Dense(100)])
        assert model.built and model.input_shape == (None, 28, 28)
        assert [layer.count_params() for layer in model.layers] == [0, 235_500, 30_100]
        assert isinstance(model.layers[0], layers.Flatten)  # the input is not listed

    def test_input_dim(self):
        model = Sequential([layers.Dense(3, input_dim=8)])
        assert model.input_shape == (None, 8) and model.output_shape == (None, 3)

    @pytest.mark.feature("1A-12", "1B-15")
    def test_numbers_of_the_classic_models(self):
        mlp = Sequential(
            [
                layers.Flatten(input_shape=[28, 28]),
                *(layers.Dense(500, activation="relu") for _ in range(4)),
                layers.Dense(10, activation="softmax"),
            ]
        )
        assert mlp.count_params() == 1_149_010
        regression = Sequential([layers.Dense(30, input_shape=(8,)), layers.Dense(1)])
        assert regression.count_params() == 301

    @pytest.mark.feature("1B-21")
    def test_models_are_layers(self):
        inner = Sequential([layers.Input((4,)), layers.Dense(3)], name="inner")
        outer = Sequential([inner, layers.Dense(1, name="top")], name="outer")
        assert outer.built and outer.input_shape == (None, 4)
        assert outer.layers[0] is inner
        assert outer.count_params() == inner.count_params() + 4

    @pytest.mark.feature("4C-27")
    def test_two_models_on_the_same_layers_share_weights(self):
        first = Sequential([layers.Input((4,)), *stack()])
        second = Sequential(first.layers[:-1])
        second.add(layers.Dense(1, name="new"))
        second.build((None, 4))
        assert second.layers[0].kernel is first.layers[0].kernel

    def test_pop(self):
        model = Sequential([layers.Input((4,)), *stack()])
        top = model.pop()
        assert top.name == "b" and model.output_shape == (None, 3)
        assert model(X).shape == (6, 3)
        model.pop()
        assert not model.built
        model.add(layers.Dense(5, name="c"))
        assert model(X).shape == (6, 5)
        model.pop()
        with pytest.raises(ValueError, match="has no layers"):
            model.pop()

    @pytest.mark.feature("1B-7", "4C-24")
    def test_get_layer(self):
        model = Sequential(stack())
        assert model.get_layer("b") is model.layers[1] is model.get_layer(index=1)
        assert model.get_layer(index=-1) is model.layers[1]
        with pytest.raises(ValueError, match=r"no layer 'bb'.*Layers: a, b"):
            model.get_layer("bb")
        with pytest.raises(ValueError, match=r"no layer 2: .* has 2 layers"):
            model.get_layer(index=2)
        with pytest.raises(ValueError, match="either name or index"):
            model.get_layer()

    def test_names_are_numbered(self):
        first, second = Sequential(), Sequential()
        assert first.name.startswith("sequential") and first.name != second.name
        assert Sequential(name="mine").name == "mine"

    def test_paths_of_weights(self):
        for model in (
            Sequential([layers.Input((4,)), *stack()], name="m"),
            Sequential(stack(), name="m"),
        ):
            model(X)
            assert [w.path for w in model.weights] == [
                "m/a/kernel",
                "m/a/bias",
                "m/b/kernel",
                "m/b/bias",
            ]

    def test_an_empty_stack_is_the_identity(self):
        np.testing.assert_array_equal(Sequential()(X).numpy(), X)


class TestRejected:
    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (3, r"received 3 \(int\)"),
            ("dense", "received 'dense'"),
            (np.zeros(3), "ndarray"),
            (layers.Dense, r"Make an instance: Dense\(\.\.\.\)"),
            (None, "received None"),
        ],
    )
    def test_what_is_no_layer(self, bad, message):
        model = Sequential([layers.Dense(1)])
        with pytest.raises(ValueError, match=message):
            model.add(bad)
        assert len(model.layers) == 1

    def test_names_must_be_unique(self):
        model = Sequential([layers.Dense(1, name="d")])
        with pytest.raises(ValueError, match="already has a layer called 'd'"):
            model.add(layers.Dense(2, name="d"))
        with pytest.raises(ValueError, match="already has a layer"):
            model.add(model.layers[0])

    def test_an_input_must_come_first(self):
        with pytest.raises(ValueError, match="an input must come first"):
            Sequential([layers.Dense(1), layers.Input((4,))])
        with pytest.raises(ValueError, match="an input must come first"):
            Sequential([layers.Input((4,)), layers.Input((4,))])

    @pytest.mark.feature("4C-26")
    def test_a_layer_that_does_not_fit_is_not_added(self):
        built = layers.Dense(2, name="b")
        built.build((None, 7))
        model = Sequential([layers.Input((4,)), layers.Dense(3)])
        with pytest.raises(ShapeError) as error:
            model.add(built)
        assert str(error.value) == (
            "[Dense] layer 'b' expects an input whose last axis has size 7; "
            "received shape (None, 3)."
        )
        assert len(model.layers) == 1 and model.output_shape == (None, 3)
        assert model(X).shape == (6, 3)

    def test_a_first_layer_that_does_not_fit_its_own_shape(self):
        model = Sequential()
        with pytest.raises(ShapeError):
            model.add(layers.Dense(3, input_shape=()))
        assert model.layers == [] and not model.built
        model.add(layers.Dense(3, input_shape=(4,)))
        assert model(X).shape == (6, 3)

    def test_a_layer_is_no_list_of_layers(self):
        with pytest.raises(TypeError, match="expected a list of layers"):
            Sequential(layers.Dense(3))

    @pytest.mark.parametrize(
        "make",
        [
            lambda: layers.Input(784),
            lambda: layers.Input(),
            lambda: layers.Input((0,)),
            lambda: layers.Input(("a",)),
            lambda: layers.Input((3,), batch_shape=(None, 3)),
        ],
    )
    def test_inputs_that_make_no_sense(self, make):
        with pytest.raises(ValueError, match=r"\[Input\]"):
            make()


class TestDeferred:
    @pytest.mark.feature("1B-8")
    def test_nothing_is_known_before_the_first_data(self):
        model = Sequential(stack(), name="m")
        assert not model.built and model.weights == []
        for name in ("input_shape", "output_shape"):
            with pytest.raises(NotBuiltError, match="'m' has no weights yet"):
                getattr(model, name)
        with pytest.raises(NotBuiltError, match=r"\[build\]"):
            model.build()

    def test_build(self):
        model = Sequential(stack())
        model.build((None, 4))
        assert model.built and model.output_shape == (None, 2)
        assert model.count_params() == 15 + 8
        model.build((None, 4))
        with pytest.raises(ShapeError, match="expects an input of shape"):
            model.build((None, 5))

    def test_first_call(self):
        model = Sequential(stack())
        model(X)
        assert model.input_shape == (None, 4)

    def test_a_failing_build_leaves_no_input(self):
        model = Sequential([layers.Dense(3), layers.Permute((2, 1), name="p")])
        with pytest.raises(ShapeError, match="'p' expects an input of rank 3"):
            model.build((None, 4))
        assert not model.built and len(model.layers) == 2

    def test_a_model_without_layers_cannot_be_built(self):
        with pytest.raises(ValueError, match="has no layers"):
            Sequential().build((None, 4))


class TestInputs:
    def model(self):
        return Sequential(
            [layers.Input((28, 28)), layers.Flatten(), layers.Dense(10)], name="m"
        )

    def test_flattened_images(self):
        with pytest.raises(ShapeError) as error:
            self.model()(np.zeros((32, 784)))
        assert str(error.value) == (
            "[Sequential] model 'm' expects an input of shape (None, 28, 28); received "
            "shape (32, 784), dtype float32. x.reshape(-1, 28, 28) has the expected "
            "shape."
        )

    def test_another_size(self):
        with pytest.raises(ShapeError, match=r"received shape \(1, 28, 27\)") as error:
            self.model()(np.zeros((1, 28, 27)))
        assert "reshape" not in str(error.value)

    def test_integers_are_cast(self):
        images = np.random.default_rng(0).integers(0, 256, (2, 28, 28)).astype("uint8")
        model = self.model()
        np.testing.assert_allclose(
            model(images).numpy(), model(images.astype("float32")).numpy(), rtol=1e-6
        )

    def test_a_last_axis_of_size_one_may_be_missing_or_extra(self):
        model = Sequential([layers.Input((1,)), layers.Dense(2)])
        column = np.arange(3.0)[:, None]
        np.testing.assert_array_equal(
            model(column[:, 0]).numpy(), model(column).numpy()
        )
        images = self.model()
        x = np.ones((2, 28, 28, 1))
        np.testing.assert_array_equal(images(x).numpy(), images(x[..., 0]).numpy())


class TestConfig:
    def test_round_trip(self):
        model = Sequential(
            [
                layers.Input((28, 28), name="in"),
                layers.Flatten(name="f"),
                layers.Dense(3, activation="relu", name="d"),
                layers.Dropout(0.5, name="drop"),
            ],
            name="m",
        )
        config = serialize_keras_object(model)
        assert config["module"] == "keras" and config["class_name"] == "Sequential"
        assert config["config"]["build_input_shape"] == (None, 28, 28)
        classes = [layer["class_name"] for layer in config["config"]["layers"]]
        assert classes == ["InputLayer", "Flatten", "Dense", "Dropout"]
        again = deserialize_keras_object(config)
        assert serialize_keras_object(again) == config
        assert again.count_params() == model.count_params()
        again.set_weights(model.get_weights())
        x = np.random.default_rng(1).normal(size=(2, 28, 28))
        np.testing.assert_array_equal(again(x).numpy(), model(x).numpy())

    def test_copies_predict_the_same_and_share_nothing(self):
        model = Sequential([layers.Input((4,)), *stack()])
        expected = model.predict(X, verbose=0)  # the native plan stays behind
        for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            np.testing.assert_array_equal(again.predict(X, verbose=0), expected)
            again.set_weights([np.zeros(w.shape) for w in again.get_weights()])
        np.testing.assert_array_equal(model.predict(X, verbose=0), expected)

    def test_unbuilt(self):
        model = Sequential(stack())
        again = Sequential.from_config(model.get_config())
        assert not again.built and [layer.name for layer in again.layers] == ["a", "b"]

    def test_custom_layers(self):
        class Twice(layers.Layer):
            def call(self, inputs):
                return inputs + inputs

        model = Sequential([layers.Input((4,)), Twice(name="t")])
        assert model.output_shape == (None, 4)  # found by calling it on zeros
        config = model.get_config()
        again = Sequential.from_config(config, custom_objects={"Twice": Twice})
        np.testing.assert_array_equal(again(X).numpy(), 2 * X)
        with pytest.raises(ValueError, match="unknown class 'Twice'"):
            Sequential.from_config(config)


class TestSubclass:
    class Net(Model):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.hidden = [layers.Dense(units, name="h")]
            self.out = layers.Dense(2, name="o")

        def call(self, inputs):
            return self.out(self.hidden[0](inputs))

    def test_layers_weights_and_paths(self):
        net = self.Net(name="net")
        assert not net.built and [layer.name for layer in net.layers] == ["h", "o"]
        net(X)
        assert net.built and net.count_params() == 15 + 8
        assert net.weights[0].path == "net/h/kernel"

    def test_build(self):
        net = self.Net()
        net.build((None, 4))
        assert net.count_params() == 15 + 8
        assert net.compute_output_shape((None, 4)) == (None, 2)

    def test_get_layer_and_config(self):
        net = self.Net(5)
        assert net.get_layer("o") is net.out
        assert net.get_config()["units"] == 5

    def test_inputs_without_outputs_are_an_error(self):
        with pytest.raises(TypeError, match="inputs was given without outputs"):
            Model(inputs=1)


class _Rows(layers.Layer):
    """Its rule of shapes multiplies sizes, which open axes do not have."""

    def call(self, x):
        return ops.reshape(x, (x.shape[0], -1, 1))

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] * shape[2], 1)


@pytest.mark.parametrize("how", ["built", "called", "loaded", "a batch of 4"])
def test_sizes_that_no_input_declares_may_change(how, tmp_path):
    """As in Keras 3.15: the layers decide what fits."""
    model = Sequential(
        [
            layers.Conv2D(2, 3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, name="last"),
        ]
    )
    if how in ("called", "loaded"):
        model(np.zeros((2, 8, 8, 3), "float32"))
    else:
        model.build((4 if how == "a batch of 4" else None, 8, 8, 3))
    if how == "loaded":
        model.save(tmp_path / "m.keras")
        model = models.load_model(tmp_path / "m.keras")
    assert model.input_shape[1:] == (8, 8, 3)
    for shape in ((3, 10, 9, 3), (1, 8, 8, 3)):
        x = np.ones(shape, "float32")
        assert model(x).shape == (shape[0], 3)
        assert model.predict(x, verbose=0).shape == (shape[0], 3)
    with pytest.raises(ShapeError, match="last axis"):
        model(np.zeros((3, 8, 8, 2), "float32"))
    with pytest.raises(ShapeError, match="rank 4"):
        model(np.zeros((3, 8, 8), "float32"))


def test_a_declared_batch_size_holds_for_no_call():
    model = Sequential([layers.Input(batch_shape=(4, 6)), layers.Dense(3)])
    assert model.input_shape == (4, 6)
    assert model(np.zeros((5, 6), "float32")).shape == (5, 3)


def test_a_second_size_runs_where_a_rule_of_shapes_wants_sizes():
    model = Sequential([_Rows()])
    assert model(np.ones((2, 5, 4), "f")).shape == (2, 20, 1)
    assert model(np.ones((2, 9, 4), "f")).shape == (2, 36, 1)
    assert model.output_shape == (None, 20, 1)


def test_names_are_free_once_their_layer_is_gone_or_renamed():
    model = Sequential([layers.Dense(3, name="a"), layers.Dense(2, name="b")])
    model.pop()
    model.build((None, 4))
    model.add(layers.Dense(5, name="b"))
    model.layers[0].name = "z"
    model.add(layers.Dense(1, name="a"))
    with pytest.raises(ValueError, match="already has a layer called 'z'"):
        model.add(layers.Dense(1, name="z"))
    assert [layer.name for layer in model.layers] == ["z", "b", "a"]
