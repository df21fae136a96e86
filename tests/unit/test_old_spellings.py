# SPDX-License-Identifier: Apache-2.0
"""Names of Keras 1 and 2: they work, and say what to write instead."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from fastnn import keras

L = keras.layers
X = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
Y = np.arange(20) % 3


def model(metrics=(), optimizer="sgd", **kwargs):
    parts = [keras.Input((4,)), L.Dense(3, activation="softmax", **kwargs)]
    made = keras.Sequential(parts)
    made.compile(optimizer, "sparse_categorical_crossentropy", metrics=list(metrics))
    return made


def batches():
    while True:
        yield X[:5], Y[:5]


# What is written, what it gives (checked by the function), what the warning names.
RENAMED = [
    (
        lambda: keras.optimizers.SGD(lr=0.1),
        lambda o: float(o.learning_rate) == np.float32(0.1),
        "write learning_rate",
    ),
    (
        lambda: model().optimizer.lr,
        lambda rate: float(rate) == np.float32(0.01),
        "write learning_rate",
    ),
    (
        lambda: keras.optimizers.SGD(0.1, decay=0.01),
        lambda o: float(o.learning_rate) == np.float32(0.1),
        "InverseTimeDecay",
    ),
    (
        lambda: L.LeakyReLU(alpha=0.2),
        lambda layer: layer.negative_slope == 0.2,
        "negative_slope",
    ),
    (lambda: model().predict_classes(X), lambda c: c.shape == (20,), "argmax"),
    (lambda: keras.metrics.Mean().reset_states(), lambda n: n is None, "reset_state"),
    (
        lambda: model().fit_generator(batches(), 2, 3, 0, workers=4),
        lambda history: len(history.epoch) == 3,
        r"write fit\(",
    ),
    (
        lambda: model().evaluate_generator(batches(), 2),
        lambda loss: loss > 0,
        r"write evaluate\(",
    ),
    (
        lambda: model().predict_generator(iter([X, X]), 2),
        lambda found: found.shape == (40, 3),
        r"write predict\(",
    ),
    (lambda: L.BatchNormalization().updates, lambda u: u == [], "non_trainable"),
    (lambda: L.Dense(3, dynamic=True), lambda la: la.units == 3, "run_eagerly"),
    (
        lambda: keras.activations.Activation("relu"),
        lambda layer: isinstance(layer, L.Activation),
        "layers.Activation",
    ),
    (lambda: keras.backend.learning_phase(), lambda p: p == 0, "training"),
    (lambda: keras.backend.get_value(keras.Variable(2.0)), lambda v: v == 2, "numpy"),
    (
        lambda: keras.backend.set_value(model().optimizer.learning_rate, 0.5),
        lambda n: n is None,
        "assign",
    ),
    (lambda: keras.backend.int_shape(X), lambda s: s == (20, 4), "x.shape"),
    (lambda: model().predict_proba(X), lambda p: p.shape == (20, 3), r"predict\(x"),
    (
        lambda: keras.optimizers.legacy.Adam(0.1),
        lambda o: type(o) is keras.optimizers.Adam,
        "keras.optimizers.Adam",
    ),
]


@pytest.mark.parametrize(("write", "good", "names"), RENAMED)
@pytest.mark.feature("1D-40", "1D-42", "2.9-7")
def test_old_names_work_and_name_the_new_one(write, good, names) -> None:
    with pytest.warns(FutureWarning, match=names) as caught:
        assert good(write())
    assert {w.filename for w in caught} == {__file__}  # the user's line


@pytest.mark.feature("4J-112")
@pytest.mark.parametrize(
    "write",
    [
        lambda: L.MaxPool2D(2, padding="SAME").padding == "same",
        lambda: L.Conv2D(2, 3, padding="VALID").padding == "valid",
        lambda: L.MaxPool2D is L.MaxPooling2D,
        lambda: L.GlobalAvgPool2D is L.GlobalAveragePooling2D,
        lambda: keras.models.Model is keras.Model,
        lambda: float(keras.backend.square(3.0)) == 9,
        lambda: np.allclose(keras.backend.mean(X, axis=0), X.mean(0), atol=1e-6),
        lambda: keras.utils.Sequence is keras.utils.PyDataset,
        lambda: float(keras.backend.constant(3.0)) == 3,
        lambda: keras.backend.variable(3.0).assign(4.0).numpy() == 4,
        lambda: keras.backend.random_normal((2, 3), stddev=0.1).shape == (2, 3),
        lambda: float(keras.backend.dot(X, X.T)[0, 0]) > 0,
        lambda: isinstance(keras.constraints.nonneg(), keras.constraints.NonNeg),
        lambda: isinstance(keras.constraints.non_neg(), keras.constraints.NonNeg),
        lambda: "acc" in model(["acc"]).fit(X, Y, verbose=0).history,
        lambda: model(input_shape=[4]).built,
        lambda: L.InputLayer(input_shape=[28, 28]).batch_shape == (None, 28, 28),
    ],
)
def test_other_spellings_are_keras_own(write) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert write()


@pytest.mark.feature("1C-44", "4H-88")
def test_the_learning_phase_switches_dropout_in_predict() -> None:
    """Monte Carlo dropout as books for Keras 2 write it."""
    made = keras.Sequential([keras.Input((50,)), L.Dropout(0.5)])
    ones = np.ones((40, 50), "float32")
    plain = made.predict(ones, verbose=0)
    with pytest.warns(FutureWarning, match=r"model\(x, training=True\)") as caught:
        scope = keras.backend.learning_phase_scope(1)
    assert caught[0].filename == __file__
    with scope:
        drawn = [made.predict(ones, verbose=0) for _ in range(2)]
        called = np.asarray(made(ones))
    for found in (*drawn, called):
        assert set(np.unique(found)) == {0.0, 2.0}
    assert not np.array_equal(*drawn)
    np.testing.assert_array_equal(plain, ones)
    np.testing.assert_array_equal(made.predict(ones, verbose=0), ones)
    np.testing.assert_array_equal(np.asarray(made(ones)), ones)


@pytest.mark.feature("1C-17")
def test_the_phase_set_for_good() -> None:
    made = keras.Sequential([keras.Input((50,)), L.Dropout(0.5)])
    made.compile("sgd", "mse")
    ones = np.ones((40, 50), "float32")
    try:
        with pytest.warns(FutureWarning):
            keras.backend.set_learning_phase(1)
        assert made.evaluate(ones, ones, verbose=0) == 1.0
        assert float(np.mean(made(ones, training=False))) == 1.0
    finally:
        with pytest.warns(FutureWarning):
            keras.backend.set_learning_phase(0)
    assert made.evaluate(ones, ones, verbose=0) == 0.0
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="0 or 1"):
        keras.backend.set_learning_phase(2)


class Shown(keras.Model):
    """Reports a value by `add_metric`, as the value itself or a metric's result."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, self.out = way, L.Dense(3, activation="softmax")
        if way == "result":
            self.mean = keras.metrics.Mean(name="inside")

    def call(self, inputs, training=None):
        value = keras.ops.mean(inputs)
        if self.way == "result":
            self.add_metric(self.mean(value))
        else:
            self.add_metric(value, name="inside", aggregation="mean")
        return self.out(inputs)


@pytest.mark.filterwarnings("ignore:add_metric:FutureWarning")
@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("way", ["value", "result"])
@pytest.mark.feature("2.1-19")
def test_add_metric_reports_a_value_of_call(way, eagerly) -> None:
    """Its mean over the batches of an epoch, with and without training."""
    made = Shown(way)
    made.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=eagerly)
    logs = made.fit(
        X, Y, batch_size=5, epochs=2, verbose=0, validation_data=(X[:5], Y[:5])
    ).history
    np.testing.assert_allclose(logs["inside"], [X.mean()] * 2, rtol=1e-5)
    np.testing.assert_allclose(logs["val_inside"], [X[:5].mean()] * 2, rtol=1e-5)


def test_add_metric_says_what_to_write_and_what_is_missing() -> None:
    layer = L.Dense(2)
    with pytest.warns(FutureWarning, match=r"keras.metrics.Mean\(name\)") as caught:
        layer.add_metric(1.0, "one")
    assert caught[0].filename == __file__
    assert [(m.name, float(m.result())) for m in layer.metrics] == [("one", 1.0)]
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="needs a name"):
        L.Dense(2).add_metric(1.0)
    with pytest.warns(FutureWarning), pytest.raises(ValueError, match="aggregation"):
        layer.add_metric(1.0, "one", aggregation="sum")


def test_a_model_forgets_the_states_of_its_recurrent_layers() -> None:
    x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
    first = L.LSTM(3, stateful=True, return_sequences=True)
    made = keras.Sequential(
        [
            keras.Input(batch_shape=(4, 5, 3)),
            first,
            L.Bidirectional(L.GRU(2, stateful=True)),
        ]
    )
    start, later = (made.predict(x, batch_size=4, verbose=0) for _ in range(2))
    with pytest.warns(FutureWarning, match="reset_state"):
        made.reset_states()
    np.testing.assert_array_equal(made.predict(x, batch_size=4, verbose=0), start)
    assert np.abs(start - later).max() > 1e-3


def test_objects_as_keras_2_described_them() -> None:
    serialize = keras.legacy.saving.serialize_keras_object
    deserialize = keras.utils.legacy.deserialize_keras_object
    found = serialize(L.Dense(3, activation="relu"))
    assert set(found) == {"class_name", "config"} and found["class_name"] == "Dense"
    assert serialize(keras.activations.relu) == "relu" and serialize(None) is None
    again = deserialize(found, {"Dense": L.Dense})
    assert (again.units, again.activation) == (3, keras.activations.relu)
    relu = keras.activations.relu
    assert deserialize("relu", {"relu": relu}) is relu is deserialize(relu)
    assert isinstance(deserialize("Mine", custom_objects={"Mine": L.ReLU}), L.ReLU)
    with pytest.raises(ValueError, match="unknown layer 'Nothing'"):
        deserialize("Nothing", printable_module_name="layer")
    with pytest.raises(ValueError, match="no get_config"):
        serialize(3)
