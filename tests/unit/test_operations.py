# SPDX-License-Identifier: Apache-2.0
"""Operation, Function and the contexts of Keras's top level."""

from __future__ import annotations

import numpy as np
import pytest

import fastnn
from fastnn import keras, ops, tf
from fastnn.autodiff.scopes import in_symbolic_scope

L = keras.layers
X = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


class Shift(keras.Operation):
    def __init__(self, by: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.by = by

    def call(self, x):
        return x + self.by


# ---- Operation ---------------------------------------------------------------------


def test_an_operation_on_tensors_and_symbols() -> None:
    shift = Shift(2.0)
    np.testing.assert_array_equal(shift(ops.convert_to_tensor(X)), X + 2)
    symbol = shift(keras.Input((3,)))
    assert symbol.shape == (None, 3) and shift.output is symbol
    with pytest.raises(NotImplementedError, match="implement call"):
        keras.Operation()(X)
    for name in ("a/b", 3):
        with pytest.raises(ValueError, match="without '/'"):
            keras.Operation(name=name)


def test_layers_are_operations() -> None:
    assert isinstance(L.Dense(3), keras.Operation)
    assert isinstance(keras.Sequential(), keras.Operation)


def test_an_operation_in_a_model(tmp_path, capsys) -> None:
    x = keras.Input((3,))
    model = keras.Model(x, L.Dense(2)(Shift(2.0, name="up")(x)))
    expected = X + 2
    np.testing.assert_allclose(
        model(X), expected @ model.weights[0].numpy(), rtol=1e-5, atol=1e-6
    )
    model.summary()
    assert "up (Shift)" in capsys.readouterr().out
    with keras.saving.custom_object_scope({"Shift": Shift}):
        copies = [
            keras.Model.from_config(model.get_config()),
            keras.models.clone_model(model),
        ]
        model.save(tmp_path / "model.keras")
        copies.append(keras.saving.load_model(tmp_path / "model.keras"))
    for copy in copies:
        copy.set_weights(model.get_weights())
        np.testing.assert_array_equal(copy.predict(X, verbose=0), model.predict(X))


def test_configs_of_operations() -> None:
    class Bare(keras.Operation):
        def __init__(self, by):
            super().__init__()
            self.by = by

    assert Shift(2.0, name="up").get_config() == {"by": 2.0, "name": "up"}
    assert Bare(3).get_config() == {"by": 3}
    assert Bare.from_config({"by": 4}).by == 4
    with pytest.raises(NotImplementedError, match="get_config"):
        Bare(np.zeros(2)).get_config()


# ---- Function ----------------------------------------------------------------------


def test_function_of_one_tensor() -> None:
    x = keras.KerasTensor((None, 3))
    middle = ops.exp(x)
    f = keras.Function(x, middle * 2.0, name="f")
    np.testing.assert_allclose(f(ops.convert_to_tensor(X)), 2 * np.exp(X), rtol=1e-6)
    assert f.compute_output_shape((7, 3)) == (7, 3)
    assert f(keras.Input((3,))).shape == (None, 3)
    assert [len(f.inputs), len(f.outputs), len(f.operations)] == [1, 1, 2]
    cut = keras.Function(middle, middle * 2.0)  # begins in the middle
    np.testing.assert_array_equal(cut(ops.convert_to_tensor(X)), 2 * X)


def test_function_of_a_structure() -> None:
    a, b = keras.KerasTensor((None, 3)), keras.KerasTensor((None, 3))
    f = keras.Function({"a": a, "b": b}, [a - b, L.Dense(4)(a)])
    difference, dense = f({"a": ops.convert_to_tensor(X), "b": 2 * tf.constant(X)})
    np.testing.assert_allclose(difference, -X)
    assert dense.shape == (5, 4)
    assert f.compute_output_shape({"a": (2, 3), "b": (2, 3)}) == [(2, 3), (2, 4)]
    for wrong in ({"a": X}, [X, X], {"a": X, "b": X[:, :2]}):
        with pytest.raises(ValueError, match="Function"):
            f(wrong)


def test_functions_that_cannot_be() -> None:
    x, other = keras.KerasTensor((None, 3)), keras.KerasTensor((None, 3))
    with pytest.raises(ValueError, match="disconnected"):
        keras.Function(other, ops.exp(x))
    with pytest.raises(ValueError, match="cannot be empty"):
        keras.Function([], x)
    with pytest.raises(TypeError, match="must be symbolic tensors"):
        keras.Function(X, x)


# ---- contexts ----------------------------------------------------------------------


def test_names_of_scopes_begin_paths() -> None:
    with keras.name_scope("encoder"):
        dense = L.Dense(3, name="dense")
        dense.build((None, 2))
        with keras.name_scope("inner"):
            variable = tf.Variable(1.0, name="v")
            model = keras.Sequential([L.Dense(2, name="d")], name="s")
            model.build((None, 3))
        with keras.name_scope("x", override_parent="a/b"):
            other = tf.Variable(1.0, name="v")
    paths = [dense.kernel, variable, model.weights[0], other, tf.Variable(1.0)]
    assert [v.path for v in paths] == [
        "encoder/dense/kernel",
        "encoder/inner/v",
        "encoder/inner/s/d/kernel",
        "a/b/x/v",
        "variable",
    ]
    with keras.name_scope("twice", caller=dense), keras.name_scope("twice", dense):
        assert tf.Variable(1.0).path == "twice/variable"
    for name in ("a/b", 3):
        with pytest.raises(ValueError, match="without '/'"):
            keras.name_scope(name)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "CPU:0", "/device:CPU:0"])
def test_the_one_device(name) -> None:
    with keras.device(name):
        assert ops.ones(2).device == "cpu"


@pytest.mark.parametrize("name", ["tpu:0", "cpu:1", None])
def test_other_devices(name) -> None:
    with pytest.raises(ValueError, match="cpu:0"), keras.device(name):
        pass


def test_symbolic_scopes() -> None:
    seen = []

    class Asks(keras.Operation):
        def call(self, x):
            seen.append(in_symbolic_scope())
            return x

    Asks()(keras.Input((3,)))
    Asks()(X)
    with keras.SymbolicScope():
        Asks()(X)
    assert seen == [True, True, False, True]
    assert not in_symbolic_scope()


def test_versions() -> None:
    assert keras.version() == fastnn.version() == keras.__version__


# ---- Variable ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options", "expected"),
    [
        (("ones", (2,)), {}, [1.0, 1.0]),
        ((), {"initializer": "ones", "shape": (2,), "dtype": "float64"}, [1.0, 1.0]),
        ((keras.initializers.Constant(3.0), (2,), "float16"), {}, [3.0, 3.0]),
        ((), {"initializer": np.float32([1, 2]), "trainable": False}, [1.0, 2.0]),
        (([1.0, 2.0],), {"aggregation": "mean", "autocast": False}, [1.0, 2.0]),
    ],
)
def test_variables_in_keras_words(args, options, expected) -> None:
    v = keras.Variable(*args, **options)
    assert v.numpy().tolist() == expected
    dtype = args[2] if len(args) > 2 else options.get("dtype", "float32")
    assert v.dtype == dtype and v.trainable == options.get("trainable", True)
    assert v.autocast == options.get("autocast", True)


@pytest.mark.parametrize(
    ("args", "options", "error"),
    [
        ((), {}, TypeError),
        ((1.0,), {"foo": 1}, TypeError),
        ((1.0,), {"aggregation": "most"}, ValueError),
        ((1.0,), {"synchronization": "most"}, ValueError),
        (("ones",), {}, ValueError),
        (("onez", (2,)), {}, ValueError),
    ],
)
def test_variables_that_cannot_be(args, options, error) -> None:
    with pytest.raises(error, match=r"\[Variable\]"):
        keras.Variable(*args, **options)
