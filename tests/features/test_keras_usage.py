# SPDX-License-Identifier: Apache-2.0
"""Items of items.txt about Keras (1B, 1C, 4C, 4D, 4H, 4J) that no other test shows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from fastnn import keras, tf

L = keras.layers
RNG = np.random.default_rng(0)


@pytest.mark.feature("1B-1")
def test_versions() -> None:
    assert keras.__version__ == keras.version() and keras.__version__[0].isdigit()


@pytest.mark.feature("1B-9", "4C-25")
def test_initializers_are_arguments() -> None:
    """Kernels are random, biases zero; both can be asked for."""
    kernel, bias = keras.Sequential([keras.Input((40,)), L.Dense(60)]).get_weights()
    bound = np.sqrt(6 / 100)  # Glorot, uniform
    assert np.abs(kernel).max() <= bound and kernel.std() > 0.5 * bound
    assert not bias.any()
    dense = L.Dense(3, kernel_initializer="ones", bias_initializer="random_normal")
    kernel, bias = keras.Sequential([keras.Input((4,)), dense]).get_weights()
    assert (kernel == 1).all() and np.unique(bias).size == 3


def spread(initializer: Any, activation: str, layers: int = 20) -> float:
    """Standard deviation of the last layer's outputs; inputs have 1."""
    keras.utils.set_random_seed(3)
    stack = [
        L.Dense(100, activation=activation, kernel_initializer=initializer)
        for _ in range(layers)
    ]
    model = keras.Sequential([keras.Input((100,)), *stack])
    return float(model.predict(RNG.normal(size=(500, 100)), verbose=0).std())


@pytest.mark.feature("1C-1")
def test_unit_variance_survives_only_scaled_weights() -> None:
    """With N(0, 1) outputs of a layer vary 10 times as much as its inputs."""
    normal = keras.initializers.RandomNormal(stddev=1.0)
    assert spread(normal, "linear", 3) == pytest.approx(1e3, rel=0.3)
    assert spread("glorot_normal", "linear", 3) == pytest.approx(1, rel=0.3)
    assert spread("he_normal", "relu") > 300 * spread("glorot_normal", "relu")


@pytest.mark.feature("1C-11", "4H-93")
def test_selu_normalizes_itself() -> None:
    """20 layers keep mean 0 and deviation 1, with this initializer."""
    assert spread("lecun_normal", "selu") == pytest.approx(1, rel=0.25)
    assert abs(spread("he_normal", "selu") - 1) > 0.25


@pytest.mark.feature("1C-6", "4H-92")
def test_a_dead_unit_gets_no_gradient() -> None:
    """Below 0 for every sample, ReLU stays there; a leak brings it back."""
    x, y = np.abs(RNG.normal(size=(64, 3))), np.ones((64, 1))
    moved = {}
    for name, activation in {"relu": "relu", "leaky": L.LeakyReLU()}.items():
        dense = L.Dense(1, activation=activation, bias_initializer="zeros")
        model = keras.Sequential([keras.Input((3,)), dense])
        dense.set_weights([np.full((3, 1), -1.0), np.zeros(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=2, verbose=0)
        moved[name] = not np.array_equal(dense.get_weights()[0], np.full((3, 1), -1.0))
    assert moved == {"relu": False, "leaky": True}


@pytest.mark.feature("1C-14", "1C-15", "1C-16", "4H-85", "4H-86", "4H-87")
def test_batch_normalization_of_images() -> None:
    """Parameters, one mean per column or per pixel, no bias."""
    for axis, count in ((-1, 28), ([1, 2], 784)):
        layer = L.BatchNormalization(axis=axis)
        keras.Sequential([keras.Input((28, 28)), layer])
        assert len(layer.trainable_variables) == len(layer.variables) // 2 == 2
        assert int(np.prod(layer.moving_mean.shape)) == count
        assert layer.count_params() == 4 * count
    image = L.BatchNormalization(axis=[1, 2], momentum=0.5)
    flat = L.BatchNormalization(momentum=0.5)
    x = RNG.normal(2, 3, size=(9, 4, 5, 2)).astype("float32")
    moved = x.transpose(0, 3, 1, 2).reshape(18, 20)  # a pixel's values in a column
    for training in (True, False):
        got = image(x, training=training).numpy()
        wanted = flat(moved, training=training).numpy()
        back = wanted.reshape(9, 2, 4, 5).transpose(0, 2, 3, 1)
        np.testing.assert_allclose(got, back, rtol=1e-4, atol=1e-5)
    assert image.moving_mean.shape == (1, 4, 5, 1)
    for a, b in zip(image.get_weights(), flat.get_weights(), strict=True):
        np.testing.assert_allclose(a.ravel(), b, rtol=1e-5)
    again = L.BatchNormalization.from_config(image.get_config())
    assert again.axis == [1, 2] and L.BatchNormalization(axis=[3]).axis == 3
    model = keras.Sequential([keras.Input((28, 28)), L.BatchNormalization(axis=[1, 2])])
    model.add(L.Flatten())
    model.add(L.Dense(1))
    model.compile("sgd", "mse")
    model.fit(RNG.normal(size=(8, 28, 28)), np.zeros((8, 1)), verbose=0)
    before = [keras.Input((784,)), L.Dense(300, use_bias=False)]
    before += [L.BatchNormalization(), L.Activation("elu")]
    model = keras.Sequential(before)
    assert [tuple(v.shape) for v in model.layers[0].variables] == [(784, 300)]
    assert model.count_params() == 784 * 300 + 1200
    names = [v.name for v in model.layers[1].variables]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance"]


@pytest.mark.feature("1C-21")
def test_pretraining_layer_by_layer() -> None:
    """Each layer learns to code the outputs of the frozen ones below it."""
    keras.utils.set_random_seed(1)
    x = RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 12))
    lower: list[Any] = []
    inputs = x
    for units in (8, 4):
        dense = L.Dense(units, activation="tanh")
        coder = keras.Sequential([keras.Input(inputs.shape[1:]), dense])
        coder.add(L.Dense(inputs.shape[1]))
        coder.compile("adam", "mse")
        losses = coder.fit(inputs, inputs, epochs=15, verbose=0).history["loss"]
        assert losses[-1] < 0.8 * losses[0]
        dense.trainable = False
        lower.append(dense)
        inputs = keras.Sequential(lower).predict(x, verbose=0)
    learned = [layer.get_weights() for layer in lower]
    model = keras.Sequential([keras.Input((12,)), *lower, L.Dense(1)])
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    for layer, weights in zip(lower, learned, strict=True):
        np.testing.assert_array_equal(layer.get_weights()[0], weights[0])
    for layer in lower:  # fine tuning
        layer.trainable = True
    model.compile("adam", "mse")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    assert not np.array_equal(lower[0].get_weights()[0], learned[0][0])


@pytest.mark.feature("1C-41")
def test_a_partial_layer() -> None:
    make = partial(
        L.Dense,
        activation="elu",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.l2(0.01),
    )
    model = keras.Sequential(
        [keras.Input((5,)), make(30), make(10), make(2, activation="softmax")]
    )
    total = sum(0.01 * np.sum(w**2) for w in model.get_weights()[::2])
    assert float(sum(model.losses)) == pytest.approx(total, rel=1e-5)
    names = [layer.activation.__name__ for layer in model.layers]
    assert names == ["elu", "elu", "softmax"]


@pytest.mark.feature("1C-47")
@pytest.mark.parametrize("kind", ["standard", "not sequential", "sparse"])
def test_the_default_configurations(kind: str) -> None:
    """Table 11-2 and its variants train."""
    x = RNG.normal(size=(120, 6))
    y = (x[:, 0] > 0).astype("int32")
    more: dict[str, Any] = {"activation": "elu", "kernel_initializer": "he_normal"}
    optimizer: Any = "nadam"
    if kind == "standard":
        more = {"activation": "selu", "kernel_initializer": "lecun_normal"}
    elif kind == "not sequential":
        more["kernel_constraint"] = keras.constraints.MaxNorm(1.0)
    else:
        more["kernel_regularizer"] = keras.regularizers.l1(1e-3)
        optimizer = keras.optimizers.Ftrl(0.1, l1_regularization_strength=1e-3)
    inputs = keras.Input((6,))
    z = hidden = L.Dense(16, **more)(inputs)
    if kind == "standard":
        z = L.AlphaDropout(0.05)(z)
    if kind == "not sequential":
        z = L.add([L.BatchNormalization()(L.Dense(16, **more)(z)), hidden])
    model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(z))
    model.compile(optimizer, "binary_crossentropy")
    callbacks = [
        keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2),
    ]
    history = model.fit(
        x, y, epochs=12, validation_split=0.2, callbacks=callbacks, verbose=0
    ).history
    assert min(history["val_loss"]) < history["val_loss"][0]


@pytest.mark.feature("4D-38")
def test_a_base_of_shared_layers_is_frozen_layer_by_layer() -> None:
    """`trainable` of each layer counts, whichever model it is reached by."""
    base = keras.Sequential([keras.Input((4,)), L.Dense(5), L.Dense(3)])
    model = keras.Model(base.inputs, L.Dense(1)(base.outputs[0]))
    for layer in base.layers:
        layer.trainable = False
    assert len(model.trainable_weights) == 2 and len(model.weights) == 6


@pytest.mark.feature("4D-51")
def test_the_last_batch_is_smaller() -> None:
    """60000 samples by 128 are 469 steps, 10000 by 32 are 313."""
    steps: list[int] = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(batch)
    )
    model = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((70, 2))
    history = model.fit(x, x[:, :1], callbacks=[watch], verbose=0)
    assert steps == [0, 1, 2] and history.params["steps"] == 3
    assert int(model.optimizer.iterations) == 3
    steps.clear()
    x = np.ones((60000, 2), "float32")
    model.fit(x, x[:, :1], batch_size=128, callbacks=[watch], verbose=0)
    assert steps == list(range(469))
    tests: list[int] = []
    watch = keras.callbacks.LambdaCallback()
    watch.on_test_batch_end = lambda batch, logs=None: tests.append(batch)
    model.evaluate(x[:10000], x[:10000, :1], callbacks=[watch], verbose=0)
    assert len(tests) == 313


@pytest.mark.feature("4D-54")
def test_an_endless_dataset_needs_steps() -> None:
    def batches() -> Any:
        while True:
            yield np.ones((4, 2)), np.ones((4, 1))

    model = keras.Sequential([keras.Input((2,)), L.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(batches(), steps_per_epoch=3, epochs=2, verbose=0)
    assert history.epoch == [0, 1] and int(model.optimizer.iterations) == 6


@pytest.mark.feature("4C-33")
def test_an_activation_is_a_function_a_name_or_a_layer() -> None:
    x = RNG.normal(size=(5, 3))
    results = []
    for activation in ("relu", keras.activations.relu, tf.nn.relu, L.ReLU()):
        dense = L.Dense(4, activation=activation)
        model = keras.Sequential([keras.Input((3,)), dense])
        dense.set_weights([np.linspace(-1, 1, 12).reshape(3, 4), np.zeros(4)])
        results.append(model.predict(x, verbose=0))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.feature("4J-111")
def test_reprs_name_the_class() -> None:
    assert "Flatten" in repr(L.Flatten()) and "Sequential" in repr(keras.Sequential())
