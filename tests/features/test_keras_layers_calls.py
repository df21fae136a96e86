# SPDX-License-Identifier: Apache-2.0
"""Rows of items.txt, parts 2.2 and 2.3: calls of Keras as a user types them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from fastnn import keras, tf

L = keras.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype("float32")
Y = (X[:, :1] * 2).astype("float32")
IMAGES = RNG.normal(size=(2, 12, 12, 3)).astype("float32")
old = pytest.mark.filterwarnings("ignore:.*old (spelling|name):FutureWarning")


# -- 2.2: layers -----------------------------------------------------------------------

# Row -> (layer, its input, shape of what it gives).
LAYERS: dict[str, list[tuple[Any, Any, tuple[int, ...]]]] = {
    "2.2-3": [
        (
            lambda: L.Dense(
                5,
                activation="relu",
                name="hidden1",
                input_shape=[8],
                kernel_initializer="he_normal",
                bias_initializer="zeros",
                kernel_regularizer=keras.regularizers.l2(0.01),
                kernel_constraint=keras.constraints.max_norm(1.0),
                bias_constraint=keras.constraints.nonneg(),
                use_bias=True,
            ),
            X,
            (64, 5),
        ),
        (lambda: L.Dense(units=4, activation=keras.activations.relu), X, (64, 4)),
        (lambda: L.Dense(4, activation=tf.nn.relu), X, (64, 4)),
        (lambda: L.Dense(4, activation=L.LeakyReLU()), X, (64, 4)),
    ],
    "2.2-4": [(lambda: L.Flatten(input_shape=[12, 12, 3]), IMAGES, (2, 432))],
    "2.2-6": [
        (lambda: L.Activation("elu"), X, (64, 8)),
        (lambda: L.Activation("relu"), X, (64, 8)),
    ],
    "2.2-7": [
        (lambda: L.BatchNormalization(momentum=0.9), X, (64, 8)),
        (lambda: L.BatchNormalization(axis=[1, 2]), IMAGES, IMAGES.shape),
    ],
    "2.2-9": [(L.PReLU, X, (64, 8)), (L.ReLU, X, (64, 8))],
    "2.2-11": [(lambda: L.GaussianNoise(stddev=0.1), X, (64, 8))],
    "2.2-12": [(lambda: L.Lambda(lambda x: tf.exp(x)), X, (64, 8))],
    "2.2-14": [
        (
            lambda: L.Conv2D(
                filters=6,
                kernel_size=3,
                strides=1,
                padding="SAME",
                activation="relu",
                input_shape=[12, 12, 3],
                use_bias=False,
                dilation_rate=2,
            ),
            IMAGES,
            (2, 12, 12, 6),
        )
    ],
    "2.2-15": [
        (lambda: L.Conv1D(4, 3, dilation_rate=2), IMAGES[0], (12, 8, 4)),
        (
            lambda: L.Conv3D(4, 3, dilation_rate=2),
            IMAGES.reshape(1, 12, 8, 9, 1),
            (1, 8, 4, 5, 4),
        ),
        (
            lambda: L.Conv2DTranspose(4, 3, strides=2, padding="SAME"),
            IMAGES,
            (2, 24, 24, 4),
        ),
        (lambda: L.SeparableConv2D(4, 3), IMAGES, (2, 10, 10, 4)),
    ],
    "2.2-16": [
        (
            partial(cls, pool_size=3, strides=2, padding="SAME"),
            IMAGES,
            (2, 6, 6, 3),
        )
        for cls in (L.MaxPool2D, L.AvgPool2D)
    ]
    + [(lambda: L.MaxPool2D(pool_size=2), IMAGES, (2, 6, 6, 3))],
    "2.2-17": [(L.GlobalAvgPool2D, IMAGES, (2, 3))],
}


@old
@pytest.mark.feature("2.2-3", "2.2-4", "2.2-6", "2.2-7", "2.2-9", "2.2-11", "2.2-12")
@pytest.mark.feature("2.2-14", "2.2-15", "2.2-16", "2.2-17", "2.9-11", "2.9-12")
@pytest.mark.parametrize(
    ("make", "x", "shape"), [case for cases in LAYERS.values() for case in cases]
)
def test_a_layer_is_made_called_and_trained(make, x, shape) -> None:
    model = keras.Sequential([make()])
    assert model(x).shape == model.predict(x, verbose=0).shape == shape
    model.compile(loss="mse", optimizer="sgd")
    assert np.isfinite(model.fit(x, np.zeros(shape), verbose=0).history["loss"][0])
    assert L.MaxPool2D is L.MaxPooling2D
    assert L.GlobalAvgPool2D is L.GlobalAveragePooling2D


@pytest.mark.feature("2.2-1", "2.2-2")
def test_inputs() -> None:
    assert L.Input(shape=(3,), name="a", dtype="int32").dtype == "int32"
    assert (
        L.Input(shape=[28, 28]).shape == (None, 28, 28) == keras.Input([28, 28]).shape
    )
    for named in ({"input_shape": [28, 28]}, {"shape": [28, 28]}):
        model = keras.Sequential([L.InputLayer(**named), L.Flatten()])
        assert model.output_shape == (None, 784)


@pytest.mark.feature("2.2-5")
def test_both_ways_of_concatenating() -> None:
    both = np.concatenate([X, Y], axis=1)
    np.testing.assert_array_equal(L.Concatenate()([X, Y]), both)
    np.testing.assert_array_equal(L.concatenate([X, Y]), both)


@old
@pytest.mark.feature("2.2-8", "2.9-3")
def test_the_leak_by_both_names() -> None:
    for layer in (L.LeakyReLU(alpha=0.2), L.LeakyReLU(negative_slope=0.2)):
        np.testing.assert_allclose(layer(X), np.where(X < 0, 0.2 * X, X), rtol=1e-6)


@pytest.mark.feature("2.2-10")
@pytest.mark.parametrize(
    "make",
    [lambda: L.Dropout(rate=0.5), lambda: L.Dropout(0.5), lambda: L.AlphaDropout(0.5)],
)
def test_dropout_in_training_only(make) -> None:
    layer = make()
    np.testing.assert_array_equal(layer(X), X)
    assert np.isclose(layer(X, training=True), layer(X)).mean() < 0.7


@pytest.mark.feature("2.2-13")
def test_an_own_layer() -> None:
    class MyDense(L.Layer):
        def __init__(self, units: int, activation: Any = None, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.activation = keras.activations.get(activation)

        def build(self, batch_input_shape: Any) -> None:
            self.kernel = self.add_weight(
                name="kernel",
                shape=[batch_input_shape[-1], self.units],
                initializer="glorot_normal",
            )
            self.bias = self.add_weight(
                name="bias", shape=[self.units], initializer="zeros", trainable=False
            )
            super().build(batch_input_shape)

        def call(self, x: Any, training: Any = None) -> Any:
            return self.activation(x @ self.kernel + self.bias)

        def compute_output_shape(self, batch_input_shape: Any) -> Any:
            dims = tf.TensorShape(batch_input_shape).as_list()
            return tf.TensorShape([*dims[:-1], self.units])

        def get_config(self) -> dict[str, Any]:
            activation = keras.activations.serialize(self.activation)
            config = super().get_config()
            return {**config, "units": self.units, "activation": activation}

    layer = MyDense(3, "relu", name="mine", input_shape=[8], dtype="float32")
    model = keras.Sequential([layer])
    assert model.built and (layer.name, len(layer.trainable_weights)) == ("mine", 1)
    product = np.maximum(X @ layer.kernel.numpy(), 0)
    np.testing.assert_allclose(model(X), product, rtol=1e-4, atol=1e-5)
    again = MyDense.from_config(layer.get_config())
    assert (again.units, again.activation) == (3, keras.activations.relu)


# -- 2.3: functions and objects by name ------------------------------------------------


@old
@pytest.mark.feature("2.3-1", "2.3-2", "2.9-17")
def test_activations_by_name_and_back() -> None:
    names = "relu sigmoid softmax tanh elu selu softplus exponential".split()
    for name in names:
        function = keras.activations.get(name)
        assert keras.activations.get(function) is function
        assert keras.activations.serialize(function) == name
        assert function(X).shape == X.shape
    assert keras.activations.get(None)(3.0) == 3.0
    assert isinstance(keras.activations.Activation("elu"), L.Activation)


@pytest.mark.feature("2.3-3")
def test_initializers_by_name_and_variance() -> None:
    variances = {
        "glorot_uniform": 1 / 75,
        "glorot_normal": 1 / 75,
        "he_normal": 2 / 100,
        "he_uniform": 2 / 100,
        "lecun_normal": 1 / 100,
        "zeros": 0,
    }
    for name, variance in variances.items():
        drawn = np.asarray(keras.initializers.get(name)((100, 50)))
        assert drawn.var() == pytest.approx(variance, rel=0.1)
    scaled = keras.initializers.VarianceScaling(
        scale=2.0, mode="fan_avg", distribution="uniform"
    )
    assert np.asarray(scaled((100, 50))).var() == pytest.approx(2 / 75, rel=0.1)
    assert isinstance(
        keras.initializers.glorot_normal(), keras.initializers.Initializer
    )


@pytest.mark.feature("2.3-4", "2.3-5", "2.9-19")
def test_regularizers_and_constraints() -> None:
    w = tf.constant([[3.0, -1.0], [4.0, 0.5]])
    r, c = keras.regularizers, keras.constraints
    for made, value in (
        (r.l1(0.1), 0.85),
        (r.l2(0.1), 2.625),
        (r.l1_l2(0.1, 0.2), 6.1),
        (r.l1_l2(l1=0.1, l2=0.2), 6.1),
    ):
        assert isinstance(made, r.Regularizer)
        assert float(made(w)) == pytest.approx(value, rel=1e-6)
    for made in (c.nonneg(), c.non_neg(), c.NonNeg()):
        assert isinstance(made, c.Constraint)
        np.testing.assert_array_equal(made(w), np.maximum(w, 0))
    np.testing.assert_allclose(
        np.linalg.norm(c.max_norm(1.0)(w), axis=0), [1, 1], rtol=1e-5
    )
    kernel = np.full((3, 3, 2, 4), 2.0, "float32")
    norms = np.square(c.max_norm(1.0, axis=[0, 1, 2])(kernel)).sum((0, 1, 2))
    np.testing.assert_allclose(norms, np.ones(4), rtol=1e-5)


@pytest.mark.feature("2.3-6", "2.3-7")
def test_losses_by_name_function_and_class() -> None:
    labels, p = (
        np.array([0, 2]),
        np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], "float32"),
    )
    one_hot = np.eye(3, dtype="float32")[labels]
    wanted = -np.log([0.7, 0.8])
    sparse = keras.losses.sparse_categorical_crossentropy
    assert keras.losses.get("sparse_categorical_crossentropy") is sparse
    np.testing.assert_allclose(sparse(labels, p), wanted, rtol=1e-5)
    categorical = keras.losses.get("categorical_crossentropy")
    np.testing.assert_allclose(categorical(one_hot, p), wanted, rtol=1e-5)
    binary = keras.losses.get("binary_crossentropy")(one_hot, p)
    np.testing.assert_allclose(
        binary, -np.log(np.where(one_hot, p, 1 - p)).mean(1), rtol=1e-5
    )
    for name in ("mse", "mean_squared_error"):
        assert keras.losses.get(name)(X, X + 2).shape == (64,)
    error = np.array([[0.5], [3.0]], "float32")
    each = np.array([0.125, 2.5])
    zeros = np.zeros((2, 1), "float32")
    for reduction, value in (
        ("sum_over_batch_size", each.mean()),
        ("sum", each.sum()),
        (None, each),
    ):
        found = keras.losses.Huber(reduction=reduction)(zeros, error)
        np.testing.assert_allclose(found, value, rtol=1e-6)

    class Mine(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return tf.reduce_mean(tf.abs(y_pred - y_true), axis=-1)

    assert float(Mine(name="mine", reduction="sum")(zeros, error)) == 3.5


@old
@pytest.mark.feature("2.3-8", "2.3-9", "2.9-5", "2.9-14")
def test_metrics() -> None:
    m = keras.metrics
    labels, p = (
        np.array([0, 2]),
        np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1]], "float32"),
    )
    np.testing.assert_array_equal(m.sparse_categorical_accuracy(labels, p), [1, 0])
    precision = m.Precision()
    assert float(precision([0, 1, 1, 1], [1, 1, 0, 1])) == pytest.approx(2 / 3)
    precision.update_state([0, 0], [1, 0], sample_weight=None)
    assert float(precision.result()) == pytest.approx(0.5)
    assert [float(v.numpy()[0]) for v in precision.variables] == [2.0, 2.0]
    precision.reset_states()
    assert [float(v.numpy()[0]) for v in precision.variables] == [0.0, 0.0]
    mean = m.Mean(name="shown")
    mean.update_state([1.0, 3.0], sample_weight=[3, 1])
    assert (float(mean.result()), mean.name) == (1.5, mean.get_config()["name"])
    assert float(m.MeanAbsoluteError()(Y, Y + 2)) == pytest.approx(2, rel=1e-6)
    assert float(m.MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1])) == pytest.approx(
        1 / 3, rel=1e-6
    )

    class Count(m.Metric):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.total = self.add_weight("total", initializer="zeros")

        def update_state(
            self, y_true: Any, y_pred: Any, sample_weight: Any = None
        ) -> None:
            self.total.assign_add(tf.cast(tf.size(y_true), tf.float32))

        def result(self) -> Any:
            return self.total

    model = keras.Sequential([keras.Input((8,)), L.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["acc", "accuracy", Count()])
    logs = model.fit(X, Y > 0, verbose=0).history
    assert logs["acc"] == logs["accuracy"] and logs["count"] == [64.0]
