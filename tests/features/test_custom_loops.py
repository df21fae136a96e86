# SPDX-License-Identifier: Apache-2.0
"""The training loop of 1D-35 as printed, and custom parts (1D, 4B, 4G)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custom_parts import (
    HuberLoss,
    HuberMetric,
    MyDense,
    MyL1,
    Positive,
    X,
    Y,
    create_huber,
    my_glorot,
    my_l1,
    my_softplus,
    positive,
)

from fastnn import keras, tf

layers = keras.layers


def random_batch(X: Any, y: Any, batch_size: int = 32) -> Any:
    idx = np.random.randint(len(X), size=batch_size)
    return X[idx], y[idx]


def print_status_bar(iteration: int, total: int, loss: Any, metrics: Any) -> None:
    text = " - ".join(f"{m.name}: {m.result():.4f}" for m in [loss, *metrics])
    end = "" if iteration < total else "\n"
    print(f"\r{iteration}/{total} - " + text, end=end)


def regularized() -> Any:
    l2_reg = keras.regularizers.l2(0.05)
    keras.utils.set_random_seed(1)
    hidden = layers.Dense(
        30,
        activation="elu",
        kernel_initializer="he_normal",
        kernel_regularizer=l2_reg,
        bias_constraint=positive,
    )
    return keras.Sequential(
        [keras.Input((6,)), hidden, layers.Dense(1, kernel_regularizer=l2_reg)]
    )


def loop(*, compiled: bool) -> tuple[list[float], list[np.ndarray]]:
    """Losses of all steps, and weights; prints a status bar."""
    np.random.seed(0)
    model = regularized()
    optimizer = keras.optimizers.Nadam(learning_rate=0.01)
    loss_fn = keras.losses.mean_squared_error
    mean_loss = keras.metrics.Mean(name="loss")
    metrics = [keras.metrics.MeanAbsoluteError()]
    optimizer.build(model.trainable_variables)

    def train(X_batch: Any, y_batch: Any) -> Any:
        with tf.GradientTape() as tape:
            y_pred = model(X_batch, training=True)
            main_loss = tf.reduce_mean(loss_fn(y_batch, y_pred))
            loss = tf.add_n([main_loss, *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        pairs = zip(gradients, model.trainable_variables, strict=True)
        optimizer.apply_gradients(pairs)
        for variable in model.variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))
        mean_loss(loss)
        for metric in metrics:
            metric(y_batch, y_pred)
        return loss

    step_of = tf.function(train) if compiled else train
    losses, n_epochs, batch_size = [], 5, 32
    for epoch in range(1, n_epochs + 1):
        print(f"Epoch {epoch}/{n_epochs}")
        for step in range(1, len(X) // batch_size + 1):
            batch = [tf.constant(a) for a in random_batch(X, Y, batch_size)]
            losses.append(float(step_of(*batch)))
            print_status_bar(step * batch_size, len(Y), mean_loss, metrics)
        print_status_bar(len(Y), len(Y), mean_loss, metrics)
        assert float(mean_loss.result()) == pytest.approx(
            np.mean(losses[-step:]), rel=1e-5
        )
        for metric in [mean_loss, *metrics]:
            metric.reset_state()
    return losses, model.get_weights()


@pytest.mark.feature("1D-35", "4G-81b", "4J-108")
def test_d35_the_loop_as_printed(capsys: Any) -> None:
    losses, weights = loop(compiled=False)
    shown = capsys.readouterr().out
    again, other_weights = loop(compiled=True)
    np.testing.assert_allclose(again, losses, rtol=1e-4)
    for a, b in zip(other_weights, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert losses[-1] < losses[0]
    assert (weights[1] >= 0).all()
    line = r"\r96/96 - loss: \d+\.\d{4} - mean_absolute_error: \d+\.\d{4}\n"
    assert len(re.findall(line, shown)) == 10  # the last batch ends the epoch too
    assert shown.startswith("Epoch 1/5\n\r32/96 - loss: ")


# -- custom parts in files (1D-16, 1D-17) ----------------------------------------------


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("as_class", [False, True])
@pytest.mark.feature("1D-16", "1D-17a")
def test_d16_d17_losses_in_files(tmp_path: Path, suffix: str, as_class: bool) -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    loss = HuberLoss(2.0) if as_class else create_huber(2.0)
    model.compile(loss=loss, optimizer="nadam")
    model.fit(X, Y, verbose=0)
    expected = model.evaluate(X, Y, verbose=0)
    path = tmp_path / f"custom{suffix}"
    model.save(path)
    if as_class:  # a function of that name is Keras's own, which is found
        with pytest.raises((ValueError, TypeError), match="HuberLoss"):
            keras.models.load_model(path).evaluate(X, Y, verbose=0)
    known = {"HuberLoss": HuberLoss} if as_class else {"huber": create_huber(2.0)}
    again = keras.models.load_model(path, custom_objects=known)
    assert again.evaluate(X, Y, verbose=0) == pytest.approx(expected, rel=1e-6)
    if not as_class:  # the threshold of a function is not in the file
        other = {"huber": create_huber(0.1)}
        again = keras.models.load_model(path, custom_objects=other)
        assert again.evaluate(X, Y, verbose=0) != pytest.approx(expected, rel=1e-3)


@pytest.mark.feature("1D-18")
def test_d18_functions_are_the_built_in_ones() -> None:
    w = np.random.default_rng(0).standard_normal((200, 300)).astype("float32")
    pairs = (
        (my_softplus(w), keras.activations.softplus(w)),
        (my_softplus(w), tf.nn.softplus(w)),
        (my_l1(w), keras.regularizers.l1(0.01)(w)),
        (MyL1(0.01)(w), keras.regularizers.l1(0.01)(w)),
        (positive(w), keras.constraints.nonneg()(w)),
        (Positive()(w), tf.nn.relu(w)),
    )
    for mine, built_in in pairs:
        np.testing.assert_allclose(mine, built_in, rtol=1e-5)
    for make in (my_glorot, keras.initializers.glorot_normal()):
        values = np.asarray(make((200, 300)))
        assert values.std() == pytest.approx(np.sqrt(2 / 500), rel=0.02)
        assert abs(values.mean()) < 1e-3


class MyDenseSaved(MyDense):
    def get_config(self) -> dict[str, Any]:
        activation = keras.activations.serialize(self.activation)
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activation,
        }


@pytest.mark.feature("1D-24")
def test_d24_a_layer_and_its_config(tmp_path: Path) -> None:
    layer = MyDenseSaved(3, activation="relu", name="mine", input_shape=(6,))
    assert layer.compute_output_shape((None, 6)).as_list() == [None, 3]
    copy = MyDenseSaved.from_config(layer.get_config())
    assert (copy.units, copy.name) == (3, "mine")
    assert copy.activation is keras.activations.relu
    model = keras.Sequential([layer])
    ends = [v.path.split("/")[-2:] for v in model.weights]
    assert ends == [["mine", "kernel"], ["mine", "bias"]]
    path = tmp_path / "mine.keras"
    model.save(path)
    known = {"MyDenseSaved": MyDenseSaved}
    again = keras.models.load_model(path, custom_objects=known)
    np.testing.assert_array_equal(again.predict(X, verbose=0), model(X))


# -- metrics of what a model holds inside (1D-28, 4G-80) -------------------------------


class Reconstructing(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden, self.out = layers.Dense(8, "selu"), layers.Dense(1)
        self.reconstruct = layers.Dense(6)
        self.error = keras.metrics.Mean(name="reconstruction_error")

    def call(self, inputs: Any, training: Any = None) -> Any:
        z = self.hidden(inputs)
        error = tf.reduce_mean(tf.square(self.reconstruct(z) - inputs))
        self.add_loss(0.05 * error)
        if training:
            self.error(error)
        return self.out(z)


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.feature("1D-28", "4G-80")
def test_d28_a_metric_of_the_inside_in_the_progress_line(
    eagerly: bool, capsys: Any
) -> None:
    keras.utils.set_random_seed(2)
    model = Reconstructing()
    model.compile(loss="mse", optimizer="nadam", run_eagerly=eagerly)
    history = model.fit(X, Y, epochs=3, verbose=2).history
    assert capsys.readouterr().out.count("reconstruction_error: ") == 3
    errors = history["reconstruction_error"]
    assert errors[2] < errors[0]
    assert all(e > 0.05 * r for e, r in zip(history["loss"], errors, strict=True))


# -- 4G --------------------------------------------------------------------------------


@pytest.mark.feature("4G-75")
def test_g75_constructors_pass_keywords_on() -> None:
    layer = MyDense(3, name="d", dtype="float64", trainable=False)
    layer.build((None, 2))
    assert (layer.name, layer.kernel.dtype, layer.trainable_weights) == (
        "d",
        "float64",
        [],
    )
    loss = HuberLoss(2.0, name="h", reduction="sum")
    assert (loss.name, loss.reduction) == ("h", "sum")
    assert HuberMetric(1.0, name="m", dtype="float32").name == "m"


@pytest.mark.feature("4G-76a", "4G-76b", "1D-22")
def test_g76_calling_a_metric_updates_it_and_resets_are_zeros() -> None:
    metric = HuberMetric(2.0)
    first = float(metric(tf.constant([[2.0]]), tf.constant([[10.0]])))
    assert first == 14.0  # 2 * |10 - 2| - 2**2 / 2
    metric(tf.constant([[0.0], [5.0]]), tf.constant([[1.0], [9.25]]))
    assert float(metric.result()) == pytest.approx((14 + 0.5 + 6.5) / 3)
    assert [float(v) for v in metric.variables] == [21.0, 3.0]
    metric.reset_state()
    assert [float(v) for v in metric.variables] == [0.0, 0.0]


class Noted(layers.Layer):
    """Remembers with which `training` it was called."""

    def __init__(self, into: list[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.into = into

    def call(self, x: Any, training: Any = None) -> Any:
        self.into.append(training)
        return x


@pytest.mark.feature("4G-79")
def test_g79_training_reaches_every_layer() -> None:
    seen: list[Any] = []
    inner = keras.Sequential([Noted(seen), layers.Dense(1)])
    model = keras.Sequential([keras.Input((6,)), Noted(seen), inner])
    model.compile(loss="mse", optimizer="sgd")
    for run, expected in (
        (lambda: model.fit(X, Y, verbose=0), True),
        (lambda: model.evaluate(X, Y, verbose=0), False),
        (lambda: model.predict(X, verbose=0), False),
        (lambda: model(X, training=True), True),
        (lambda: model(X, training=False), False),
    ):
        seen.clear()
        run()
        assert len(seen) >= 2 and all(bool(t) is expected for t in seen), expected
    seen.clear()
    model(X)
    assert not any(seen)


@pytest.mark.feature("4G-82")
def test_g82_batches_with_replacement_miss_the_rest() -> None:
    np.random.seed(0)
    rows = np.arange(40)
    batch, same = random_batch(rows, rows)
    np.testing.assert_array_equal(batch, same)
    assert len(batch) == 32 and len(set(batch)) < 32
    assert len(rows) // 32 == 1


# -- 4B --------------------------------------------------------------------------------


@pytest.mark.feature("4B-13", "4B-20", "1D-31")
def test_b13_b20_a_list_of_targets_goes_once_through_the_record() -> None:
    visited: list[str] = []

    def noted(name: str, factor: float) -> Any:
        @tf.custom_gradient
        def scale(x: Any) -> Any:
            def slope(dy: Any) -> Any:
                visited.append(name)
                return factor * dy

            return factor * x, slope

        return scale

    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)
    with tf.GradientTape() as tape:
        a = noted("first", 2.0)(w1 * w2)
        b = noted("second", 3.0)(a)
        c = noted("third", 5.0)(a)
    g1, g2 = tape.gradient([a, b, c], [w1, w2])
    # d(a + b + c) / da = 1 + 3 + 5, da / dw1 = 2 w2
    assert (float(g1), float(g2)) == (9 * 2 * 3.0, 9 * 2 * 5.0)
    assert visited == ["third", "second", "first"]


@pytest.mark.feature("4B-12", "4B-19", "1D-30b", "1D-30c")
def test_b12_b19_what_a_tape_does_not_record() -> None:
    c1, c2 = tf.constant(5.0), tf.constant(3.0)
    with tf.GradientTape() as tape:
        z = 3 * c1**2 + 2 * c1 * c2
    assert tape.gradient(z, [c1, c2]) == [None, None]
    w = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        a = w * w
        with tape.stop_recording():
            b = a * w
    assert tape.gradient(b, w) is None
    with tf.GradientTape() as tape:
        tape.watch(c1)
        z = 3 * c1**2 + 2 * c1 * c2
    assert float(tape.gradient(z, c1)) == 36.0


# -- other methods (1D-42) -------------------------------------------------------------


@pytest.mark.feature("1D-42")
def test_d42_one_batch_and_layers_by_name() -> None:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1, name="only")])
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(0.1), metrics=["mae"])
    kernel, bias = model.get_weights()
    residual = X @ kernel + bias - Y
    loss, error = model.train_on_batch(X, Y)
    assert float(loss) == pytest.approx((residual**2).mean(), rel=1e-5)
    assert float(error) == pytest.approx(np.abs(residual).mean(), rel=1e-5)
    moved = kernel - 0.1 * 2 * X.T @ residual / len(X)
    np.testing.assert_allclose(model.get_layer("only").kernel, moved, atol=1e-5)
    assert model.get_layer(index=0) is model.get_layer("only")
    with pytest.raises(ValueError, match="nowhere"):
        model.get_layer("nowhere")
