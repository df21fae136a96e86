# SPDX-License-Identifier: Apache-2.0
"""The deterministic numbers of items.txt, 3D-50 to 3D-73.

Those about data are in test_data_numbers.py, which says why others are nowhere.
"""

from __future__ import annotations

import itertools
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pytest

from fastnn import keras, tf

layers = keras.layers


# -- 3D-50, 3D-51: optimizers ----------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ({"clipvalue": 1.0}, [0.9, 1.0]),
        ({"clipnorm": 1.0}, [0.00899964, 0.9999595]),
        ({"global_clipnorm": 1.0}, [0.00899964, 0.9999595]),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.feature("3D-50", "4G-81e", "1C-19")
def test_n50_clipping(clip: dict, expected: list[float], compiled: bool) -> None:
    v = tf.Variable([0.0, 0.0])
    optimizer = keras.optimizers.SGD(1.0, **clip)
    optimizer.build([v])

    def step(g: Any) -> None:
        optimizer.apply_gradients([(g, v)])

    (tf.function(step) if compiled else step)(tf.constant([0.9, 100.0]))
    np.testing.assert_allclose(-v.numpy(), expected, rtol=1e-6)


@pytest.mark.feature("3D-51")
def test_n51_terminal_velocity_of_momentum() -> None:
    v = tf.Variable(0.0, dtype="float64")
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    before = 0.0
    for _ in range(300):
        before = float(v)
        optimizer.apply_gradients([(tf.constant(3.0, "float64"), v)])
    assert before - float(v) == pytest.approx(10 * 0.01 * 3.0, rel=1e-5)


# -- 3D-52 to 3D-55: gradients ---------------------------------------------------------


def f(w1: Any, w2: Any) -> Any:
    return 3 * w1**2 + 2 * w1 * w2


MODES = pytest.mark.parametrize("mode", [lambda g: g, tf.function], ids=["eager", "f"])


@pytest.mark.feature("3D-52", "1D-29")
def test_n52_finite_differences() -> None:
    w1, w2, eps = 5, 3, 1e-6
    assert (f(w1 + eps, w2) - f(w1, w2)) / eps == 36.000003007075065
    assert (f(w1, w2 + eps) - f(w1, w2)) / eps == 10.000000003174137


@MODES
@pytest.mark.feature("3D-52", "1D-30a")
def test_n52_derivatives(mode: Any) -> None:
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    @mode
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            z = f(w1, w2)
        return tape.gradient(z, [w1, w2])

    assert [float(g) for g in gradients()] == [36.0, 10.0]


@MODES
@pytest.mark.feature("3D-53", "1D-32", "4B-15", "4B-14a")
def test_n53_hessian_with_tapes_inside_their_blocks(mode: Any) -> None:
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    @mode
    def hessians() -> Any:
        with tf.GradientTape(persistent=True) as outer:
            with tf.GradientTape() as inner:
                z = f(w1, w2)
            jacobians = inner.gradient(z, [w1, w2])
        return [outer.gradient(j, [w1, w2]) for j in jacobians]

    found = [[None if h is None else float(h) for h in row] for row in hessians()]
    assert found == [[6.0, 2.0], [2.0, None]]


@MODES
@pytest.mark.feature("3D-54", "4B-16", "1D-33")
def test_n54_stop_gradient(mode: Any) -> None:
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    @mode
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            z = 3 * w1**2 + tf.stop_gradient(2 * w1 * w2)
        return [z, *tape.gradient(z, [w1, w2])]

    z, g1, g2 = gradients()
    assert (float(z), float(g1), g2) == (105.0, 30.0, None)


@MODES
@pytest.mark.feature("3D-55", "4B-17", "4B-18", "1D-34")
def test_n55_softplus(mode: Any) -> None:
    def naive(z: Any) -> Any:
        return tf.math.log(tf.exp(z) + 1.0)

    @tf.custom_gradient
    def better(z: Any) -> Any:
        exp = tf.exp(z)

        def slope(grad: Any) -> Any:
            return grad / (1.0 + 1.0 / exp)

        return tf.math.log(exp + 1.0), slope

    def gradient(function: Any) -> float:
        x = tf.Variable([100.0])

        @mode
        def run() -> Any:
            with tf.GradientTape() as tape:
                z = function(x)
            return tape.gradient(z, x)

        return float(run()[0])

    assert np.isnan(gradient(naive))
    assert gradient(better) == 1.0
    assert np.isinf(better(tf.constant([100.0])).numpy()).all()  # 4B-18
    assert gradient(keras.activations.softplus) == 1.0


@pytest.mark.feature("3D-56", "1D-21")
def test_n56_streaming_precision() -> None:
    p = keras.metrics.Precision()
    assert float(p([0, 1, 1, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 1, 0, 1])) == (
        pytest.approx(0.8)
    )
    assert float(p([0, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 0, 0])) == 0.5
    assert float(p.result()) == 0.5
    assert [v.numpy().tolist() for v in p.variables] == [[4.0], [4.0]]
    p.reset_state()
    assert [v.numpy().tolist() for v in p.variables] == [[0.0], [0.0]]


# -- 3D-60 to 3D-66: convolutions ------------------------------------------------------


@pytest.mark.parametrize(("padding", "expected"), [("SAME", 3), ("VALID", 2)])
@pytest.mark.feature("3D-60", "1F-3")
def test_n60_padding(padding: str, expected: int) -> None:
    x = np.ones((1, 13, 1), "float32")
    layer = layers.Conv1D(1, 6, strides=5, padding=padding)
    assert layer(x).shape == (1, expected, 1)


@pytest.mark.feature("3D-61", "1F-6")
def test_n61_memory_of_a_convolution() -> None:
    image = keras.Input((100, 150, 3))
    layer = layers.Conv2D(200, 5, padding="SAME")
    maps = prod(layer(image).shape[1:])
    assert layer.count_params() == 15_200
    assert maps * 5 * 5 * 3 == 225_000_000  # multiplications
    assert maps * 32 == 96_000_000  # bits: 12 MB
    assert 100 * maps * 4 == 1_200_000_000  # bytes of a batch of 100
    assert maps // 200 * 200 * (5 * 5 * 3) * 3 == 675_000_000


@pytest.mark.feature("3D-63", "1F-7")
def test_n63_max_pooling() -> None:
    x = np.array([1.0, 5.0, 3.0, 2.0], "float32").reshape(1, 2, 2, 1)
    y = layers.MaxPool2D(pool_size=2)(x)
    assert y.numpy().tolist() == [[[[5.0]]]]
    assert prod(layers.MaxPool2D(2)(keras.Input((8, 8, 1))).shape[1:]) * 4 == 64


@pytest.mark.feature("3D-64")
def test_n64_dilation() -> None:
    x = np.zeros((1, 17, 1), "float32")
    x[0, 8] = 1.0
    layer = layers.Conv1D(1, 3, dilation_rate=4, padding="SAME", use_bias=False)
    layer.build((None, 17, 1))
    layer.set_weights([np.array([1.0, 2.0, 3.0], "float32").reshape(3, 1, 1)])
    # A cross-correlation shows the stretched filter from behind.
    y = layer(x).numpy().ravel()
    assert y[4:13][::-1].tolist() == [1, 0, 0, 0, 2, 0, 0, 0, 3]
    assert not y[:4].any() and not y[13:].any()


@pytest.mark.feature("3D-65", "1F-32")
def test_n65_a_dense_layer_as_a_convolution() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 7, 7, 100)).astype("float32")
    dense, conv = layers.Dense(200), layers.Conv2D(200, 7, padding="VALID")
    dense.build((None, 7 * 7 * 100))
    conv.build((None, 7, 7, 100))
    kernel, bias = dense.get_weights()
    conv.set_weights([kernel.reshape(7, 7, 100, 200), bias])
    a, b = dense(x.reshape(2, -1)).numpy(), conv(x).numpy()
    assert b.shape == (2, 1, 1, 200)
    np.testing.assert_allclose(a, b[:, 0, 0], rtol=1e-4, atol=1e-4)
    sliding = layers.Conv2D(10, 7, padding="VALID")
    assert sliding(keras.Input((14, 14, 100))).shape == (None, 8, 8, 10)


@pytest.mark.feature("3D-66")
def test_n66_a_cell_of_yolo() -> None:
    assert 5 * 4 + 5 + 20 == 45
    head = layers.Conv2D(45, 1)
    assert head(keras.Input((13, 13, 1024))).shape[-1] == 45
    scale = np.array([1.5, 0.9])
    np.testing.assert_allclose(
        np.array([100, 50]) * np.exp(tf.math.log(tf.constant(scale)).numpy()),
        [150, 45],
    )


# -- 3D-72, 3D-73: sizes of networks ---------------------------------------------------


@pytest.mark.feature("3D-72")
def test_n72_the_network_of_exercise_14_2() -> None:
    conv = partial(layers.Conv2D, kernel_size=3, strides=2, padding="SAME")
    model = keras.Sequential(
        [keras.Input((200, 300, 3)), conv(100), conv(200), conv(400)]
    )
    assert model.count_params() == 903_400
    assert [layer.count_params() for layer in model.layers] == [2_800, 180_200, 720_400]
    shapes = itertools.accumulate(
        model.layers,
        lambda shape, layer: layer.compute_output_shape(shape),
        initial=(None, 200, 300, 3),
    )
    maps = [4 * prod(shape[1:]) for shape in shapes][1:]
    assert maps == [6_000_000, 3_000_000, 1_520_000]


class ResidualUnit(layers.Layer):
    def __init__(self, filters: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        conv = partial(layers.Conv2D, kernel_size=3, padding="SAME", use_bias=False)
        self.activation = keras.activations.get("relu")
        self.main_layers = [
            conv(filters, strides=strides),
            layers.BatchNormalization(),
            self.activation,
            conv(filters),
            layers.BatchNormalization(),
        ]
        self.skip_layers = []
        if strides > 1:
            self.skip_layers = [
                conv(filters, kernel_size=1, strides=strides),
                layers.BatchNormalization(),
            ]

    def call(self, inputs: Any) -> Any:
        z = inputs
        for layer in self.main_layers:
            z = layer(z)
        skip_z = inputs
        for layer in self.skip_layers:
            skip_z = layer(skip_z)
        return self.activation(z + skip_z)


@pytest.mark.feature("3D-73", "1F-21", "1F-22")
def test_n73_resnet_34() -> None:
    model = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            layers.Conv2D(64, 7, strides=2, padding="SAME", use_bias=False),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPool2D(pool_size=3, strides=2, padding="SAME"),
        ]
    )
    before = 64
    for filters in [64] * 3 + [128] * 4 + [256] * 6 + [512] * 3:
        model.add(ResidualUnit(filters, strides=1 if filters == before else 2))
        before = filters
    model.add(layers.GlobalAvgPool2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    assert model.count_params() == 21_306_826
    fixed = sum(prod(v.shape) for v in model.non_trainable_variables)
    assert fixed == 17_024


@pytest.mark.feature("3D-73", "1F-11")
def test_n73_the_fashion_mnist_cnn() -> None:
    conv = partial(layers.Conv2D, kernel_size=3, activation="relu", padding="SAME")
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            conv(64, kernel_size=7),
            layers.MaxPool2D(2),
            conv(128),
            conv(128),
            layers.MaxPool2D(2),
            conv(256),
            conv(256),
            layers.MaxPool2D(2),
            layers.Flatten(),
            layers.Dense(units=128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(units=64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(units=10, activation="softmax"),
        ]
    )
    assert model.count_params() == 1_413_834


class Subsampling(layers.Layer):
    """LeNet's pooling: the mean times a coefficient plus a bias, one of each a map."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = layers.AvgPool2D(2, strides=2)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.shift = self.add_weight(shape=(shape[-1],), initializer="zeros")

    def call(self, x: Any) -> Any:
        return keras.ops.tanh(self.pool(x) * self.scale + self.shift)


class Distances(layers.Layer):
    """Squared distances of the input from the weights of each unit."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units

    def build(self, shape: Any) -> None:
        self.centres = self.add_weight(shape=(self.units, shape[-1]))

    def call(self, x: Any) -> Any:
        return tf.reduce_sum(tf.square(x[:, None] - self.centres), 2)


@pytest.mark.feature("3D-73", "1F-13")
def test_n73_lenet_5() -> None:
    conv = partial(layers.Conv2D, kernel_size=5, activation="tanh")
    parts = [conv(6), Subsampling(), conv(16), Subsampling(), conv(120)]
    parts += [layers.Flatten(), layers.Dense(84, "tanh"), Distances(10)]
    model = keras.Sequential([keras.Input((32, 32, 1)), *parts])
    counts = [layer.count_params() for layer in model.layers if layer.weights]
    assert counts == [156, 12, 2416, 32, 48120, 10164, 840]
    assert sum(counts) == 61_740
    assert model(np.zeros((2, 32, 32, 1), "float32")).shape == (2, 10)


@pytest.mark.parametrize(("last_pool", "total"), [(False, 201.8), (True, 62.4)])
@pytest.mark.feature("3D-73", "1F-14")
def test_n73_alexnet(last_pool: bool, total: float) -> None:
    conv = partial(layers.Conv2D, kernel_size=3, padding="SAME", activation="relu")
    pool = partial(layers.MaxPool2D, pool_size=3, strides=2)
    parts = [conv(96, kernel_size=11, strides=4, padding="VALID"), pool()]
    parts += [conv(256, kernel_size=5), pool(), conv(384), conv(384), conv(256)]
    z = keras.Input((227, 227, 3))
    sizes = []
    for layer in [*parts, *([pool()] if last_pool else [])]:
        z = layer(z)
        sizes.append(z.shape[1:])
    maps = [(55, 96), (27, 96), (27, 256), (13, 256), (13, 384), (13, 384), (13, 256)]
    assert sizes[:7] == [(n, n, c) for n, c in maps]
    # The dense layers would take 0.8 GB: counted, not built.
    widths = [prod(z.shape[1:]), 4096, 4096, 1000]
    dense = [(n + 1) * m for n, m in itertools.pairwise(widths)]
    if not last_pool:
        assert dense[0] == pytest.approx(177.2e6, rel=1e-3)
    convolutions = sum(layer.count_params() for layer in parts)
    assert (convolutions + sum(dense)) / 1e6 == pytest.approx(total, abs=0.05)
