# SPDX-License-Identifier: Apache-2.0
"""fit on native plans and eagerly, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
from training_cases import (
    LABELS,
    RNG,
    Oracle,
    X,
    Y,
    assert_weights,
    classifier,
    mlp,
    regression,
)

from fastnn import callbacks as cb
from fastnn import layers, metrics, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.models import Model, Sequential
from fastnn.optimizers import SGD
from fastnn.seeds import set_random_seed


@pytest.mark.usefixtures("float64")
class TestAgainstNumPy:
    @pytest.mark.feature("1A-13", "4D-40")
    def test_regression(self, eager):
        model = regression(eager)
        oracle = Oracle(model.get_weights())
        history = model.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        expected = [oracle.epoch(X, Y, 8) for _ in range(3)]
        np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-9)
        assert_weights(model, oracle)

    def test_classification(self, eager):
        model = classifier(eager)
        oracle = Oracle(model.get_weights())
        model.fit(X, LABELS, batch_size=5, epochs=2, shuffle=False, verbose=0)
        for _ in range(2):
            oracle.epoch(X, LABELS, 5)
        assert_weights(model, oracle, 1e-6)  # probabilities are clipped by epsilon
        loss, accuracy = model.evaluate(X, LABELS, batch_size=7, verbose=0)
        p = oracle.probabilities(X)
        np.testing.assert_allclose(loss, oracle.losses(X, LABELS).mean(), rtol=1e-5)
        np.testing.assert_allclose(accuracy, (p.argmax(1) == LABELS).mean())
        np.testing.assert_allclose(model.predict(X, verbose=0), p, rtol=1e-5)

    def test_sample_weights_divide_by_the_batch_size(self, eager):
        weights = RNG.uniform(0, 3, 22)
        model = regression(eager)
        oracle = Oracle(model.get_weights())
        history = model.fit(
            X, Y, 8, epochs=2, sample_weight=weights, shuffle=False, verbose=0
        )
        expected = [oracle.epoch(X, Y, 8, weights) for _ in range(2)]
        np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-7)
        assert_weights(model, oracle, 1e-7)

    @pytest.mark.feature("4D-42")
    def test_class_weights(self, eager):
        model = classifier(eager)
        oracle = Oracle(model.get_weights())
        table = {0: 2.0, 2: 0.5}
        model.fit(X, LABELS, 8, class_weight=table, shuffle=False, verbose=0)
        oracle.epoch(X, LABELS, 8, np.array([table.get(c, 1.0) for c in LABELS]))
        assert_weights(model, oracle, 1e-6)

    @pytest.mark.feature("4D-41")
    def test_validation_split_takes_the_last_rows_and_does_not_train_on_them(
        self, eager
    ):
        model = regression(eager)
        oracle = Oracle(model.get_weights())
        history = model.fit(
            X, Y, 8, epochs=2, validation_split=0.25, shuffle=False, verbose=0
        )
        expected = []
        for _ in range(2):
            oracle.epoch(X[:16], Y[:16], 8)
            expected.append(oracle.losses(X[16:], Y[16:]).mean())
        np.testing.assert_allclose(history.history["val_loss"], expected, rtol=1e-9)
        assert_weights(model, oracle)

    def test_train_on_batch(self, eager):
        model = regression(eager)
        oracle = Oracle(model.get_weights())
        first = model.train_on_batch(X[:8], Y[:8])
        np.testing.assert_allclose(first, oracle.step(X[:8], Y[:8]), rtol=1e-9)
        assert_weights(model, oracle)
        second = model.train_on_batch(X[8:], Y[8:])  # of this batch alone
        np.testing.assert_allclose(second, oracle.step(X[8:], Y[8:]), rtol=1e-9)
        logs = model.test_on_batch(X, Y, return_dict=True)
        np.testing.assert_allclose(logs["loss"], oracle.losses(X, Y).mean(), rtol=1e-9)
        np.testing.assert_allclose(
            model.predict_on_batch(X[:3]), oracle.forward(X[:3])[1], rtol=1e-9
        )

    def test_training_goes_on_where_it_left_off(self, eager):
        model = regression(eager)
        oracle = Oracle(model.get_weights())
        for _ in range(2):
            model.fit(X, Y, 8, shuffle=False, verbose=0)
            oracle.epoch(X, Y, 8)
        assert_weights(model, oracle)

    def test_generators_train_like_arrays(self, eager):
        model = regression(eager)
        oracle = Oracle(model.get_weights())

        def batches():
            for _ in range(2):
                for i in range(0, 22, 8):
                    yield X[i : i + 8], Y[i : i + 8]

        history = model.fit(batches(), epochs=2, steps_per_epoch=3, verbose=0)
        expected = [oracle.epoch(X, Y, 8) for _ in range(2)]
        np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-9)
        assert_weights(model, oracle)


class TestShuffle:
    def seen(self, model, shuffle, epochs=2):
        """Rows in the order in which they were trained on."""
        order = []

        class Spy(cb.Callback):
            def on_train_batch_end(self, batch, logs=None):
                order.append(logs["loss"])

        model.fit(X, Y, 1, epochs, shuffle=shuffle, verbose=0, callbacks=[Spy()])
        return np.array(order).reshape(epochs, -1)

    def frozen(self, eager):
        model = mlp()
        model.compile(SGD(0.0), "mse", run_eagerly=eager)
        return model

    def values(self, running):
        """Losses of single rows from running means."""
        counts = np.arange(1, running.shape[1] + 1)
        return np.diff(running * counts, axis=1, prepend=0.0)

    def test_each_row_once_per_epoch_in_a_new_order(self, eager):
        model = self.frozen(eager)
        plain = self.values(self.seen(model, False))
        mixed = self.values(self.seen(model, True))
        np.testing.assert_allclose(plain[0], plain[1], rtol=1e-3, atol=1e-4)
        assert not np.allclose(mixed[0], mixed[1], atol=1e-3)
        for row in mixed:
            np.testing.assert_allclose(np.sort(row), np.sort(plain[0]), atol=1e-3)

    @pytest.mark.feature("4D-59")
    def test_the_same_seed_gives_the_same_bits(self, eager):
        def run():
            set_random_seed(7)
            model = Sequential(
                [
                    layers.Input((4,)),
                    layers.Dense(5, activation="relu"),
                    layers.Dropout(0.5),
                    layers.Dense(1),
                ]
            )
            model.compile("rmsprop", "mse", run_eagerly=eager)
            history = model.fit(X, Y, 8, epochs=3, verbose=0)
            return history.history["loss"], model.get_weights()

        (losses, weights), (again, weights2) = run(), run()
        assert losses == again
        for a, b in zip(weights, weights2, strict=True):
            np.testing.assert_array_equal(a, b)

    def test_native_and_eager_agree(self):
        def run(eager):
            set_random_seed(3)
            model = Sequential(
                [
                    layers.Input((4,)),
                    layers.Dense(16, activation="elu", kernel_regularizer="l2"),
                    layers.Dropout(0.25),
                    layers.Dense(3, activation="softmax"),
                ]
            )
            model.compile(
                "adam", "sparse_categorical_crossentropy", metrics=["accuracy"]
            )
            model.run_eagerly = eager
            history = model.fit(X, LABELS, 8, epochs=4, validation_split=0.2, verbose=0)
            return history.history, model.get_weights()

        (history, weights), (expected, weights2) = run(False), run(True)
        assert list(history) == list(expected)
        for name, values in history.items():
            np.testing.assert_allclose(values, expected[name], rtol=2e-5)
        for a, b in zip(weights, weights2, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class TestHistory:
    @pytest.mark.feature("1B-11")
    def test_names_epochs_and_params(self, eager):
        model = classifier(eager)
        history = model.fit(X, LABELS, 8, epochs=3, validation_split=0.2, verbose=0)
        assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
        assert all(len(values) == 3 for values in history.history.values())
        assert all(isinstance(v, float) for v in history.history["loss"])
        assert history.epoch == [0, 1, 2]
        assert history.params == {"verbose": 0, "epochs": 3, "steps": 3}
        assert model.history is history

    @pytest.mark.feature("4D-39")
    def test_defaults(self, eager):
        history = regression(eager).fit(X, Y, verbose=0)
        assert history.epoch == [0] and history.params["steps"] == 1  # 22 / 32

    @pytest.mark.feature("4D-43")
    def test_initial_epoch(self, eager):
        history = regression(eager).fit(X, Y, epochs=5, initial_epoch=3, verbose=0)
        assert history.epoch == [3, 4]

    def test_no_epochs(self, eager):
        history = regression(eager).fit(X, Y, epochs=0, verbose=0)
        assert history.epoch == [] and history.history == {}

    def test_number_of_steps(self):
        from fastnn.data import ArrayData

        assert ArrayData(None, None, None, 60_000).num_batches(128) == 469
        assert ArrayData(None, None, None, 10_000).num_batches(32) == 313


class TestValidation:
    def test_data_with_and_without_weights(self, eager):
        model = regression(eager)
        w = RNG.uniform(0, 2, 5)
        error = None
        for data in ((X[:5], Y[:5]), (X[:5], Y[:5], w), [X[:5], Y[:5]]):
            got = model.fit(X, Y, validation_data=data, verbose=0).history["val_loss"]
            squared = (model.predict(X[:5], verbose=0).astype("f8") - Y[:5])[:, 0] ** 2
            error = squared * (w if len(data) == 3 else 1.0)
            np.testing.assert_allclose(got, [error.mean()], rtol=1e-5)

    @pytest.mark.feature("4D-42")
    def test_class_weights_do_not_apply(self, eager):
        model = classifier(eager)
        history = model.fit(
            X,
            LABELS,
            class_weight={0: 10.0, 1: 10.0, 2: 10.0},
            validation_data=(X, LABELS),
            verbose=0,
        )
        loss = model.evaluate(X, LABELS, verbose=0)[0]
        np.testing.assert_allclose(history.history["val_loss"], [loss], rtol=1e-6)

    @pytest.mark.parametrize(("freq", "count"), [(2, 2), (5, 1), ([1, 5], 2), (6, 0)])
    def test_frequency(self, eager, freq, count):
        history = regression(eager).fit(
            X, Y, epochs=5, validation_data=(X, Y), validation_freq=freq, verbose=0
        )
        assert len(history.history.get("val_loss", [])) == count

    def test_steps_and_batch_size(self, eager):
        model = regression(eager)
        history = model.fit(
            X,
            Y,
            validation_data=(X, Y),
            validation_batch_size=4,
            validation_steps=2,
            verbose=0,
        )
        expected = model.evaluate(X[:8], Y[:8], verbose=0)
        np.testing.assert_allclose(history.history["val_loss"], [expected], rtol=1e-5)

    def test_batches_from_an_iterable(self, eager):
        class Batches:
            def __iter__(self):
                return iter([(X[:10], Y[:10]), (X[10:], Y[10:])])

        model = regression(eager)
        history = model.fit(X, Y, epochs=2, validation_data=Batches(), verbose=0)
        expected = model.evaluate(X, Y, verbose=0)
        np.testing.assert_allclose(history.history["val_loss"][-1], expected, rtol=1e-5)


class TestFrozen:
    def test_frozen_layers_keep_their_weights(self, eager):
        model = mlp()
        model.layers[0].trainable = False
        model.compile(SGD(0.1), "mse", run_eagerly=eager)
        before = model.get_weights()
        model.fit(X, Y, 8, verbose=0)
        after = model.get_weights()
        np.testing.assert_array_equal(before[0], after[0])
        assert (before[2] != after[2]).any()

    @pytest.mark.feature("4D-37")
    @pytest.mark.filterwarnings("ignore:.* are frozen:UserWarning")
    def test_thawing_after_another_compile(self, eager):
        model = mlp()
        model.trainable = False
        model.compile(SGD(0.1), "mse", run_eagerly=eager)
        before = model.get_weights()
        model.fit(X, Y, 8, verbose=0)
        np.testing.assert_array_equal(before[2], model.get_weights()[2])
        model.trainable = True
        model.compile(SGD(0.1), "mse", run_eagerly=eager)
        model.fit(X, Y, 8, verbose=0)
        assert (before[0] != model.get_weights()[0]).any()

    def test_freezing_without_compile_is_noticed(self, eager):
        model = regression(eager)
        model.fit(X, Y, 8, verbose=0)
        model.layers[0].trainable = False
        before = model.get_weights()
        model.fit(X, Y, 8, verbose=0)
        after = model.get_weights()
        np.testing.assert_array_equal(before[0], after[0])
        assert (before[2] != after[2]).any()
        runner = model._get_runner()
        model.layers[0].trainable = True
        model.layers[0].trainable = False  # as a GAN loop does: no new plans
        model.train_on_batch(X, Y)
        assert model._get_runner() is runner

    def test_two_models_on_the_same_layers_train_each_other(self, eager):
        first = regression(eager)
        second = Sequential([layers.Input((4,)), *first.layers])
        first.fit(X, Y, 8, verbose=0)
        np.testing.assert_array_equal(first.get_weights()[0], second.get_weights()[0])


class TestCustomSteps:
    def test_an_overridden_train_step_decides_what_is_logged(self, eager):
        class Doubled(Model):
            def __init__(self):
                super().__init__()
                self.dense = layers.Dense(1)
                self.mean = metrics.Mean(name="mean")

            def call(self, inputs):
                return self.dense(inputs)

            def train_step(self, data):
                x, y = data
                with GradientTape() as tape:
                    loss = 2.0 * ops.mean(ops.square(y - self(x, training=True)))
                weights = self.trainable_weights
                gradients = tape.gradient(loss, weights)
                self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
                self.mean.update_state(loss)
                return {"doubled": self.mean.result()}

        model = Doubled()
        model.compile(SGD(0.05), "mse", run_eagerly=eager)
        start = model.predict(X, verbose=0).astype("f8")
        history = model.fit(X, Y, 22, epochs=2, verbose=0)
        assert list(history.history) == ["doubled"]
        expected = 2 * ((start - Y) ** 2).mean()
        np.testing.assert_allclose(history.history["doubled"][0], expected, rtol=1e-5)

    def test_subclassed_models(self, eager):
        class Net(Model):
            def __init__(self):
                super().__init__()
                self.blocks = [layers.Dense(5, activation="relu"), layers.Dropout(0.1)]
                self.out = layers.Dense(3, activation="softmax")

            def call(self, inputs, training=None):
                for block in self.blocks:
                    inputs = block(inputs, training=training)
                return self.out(inputs)

        net = Net()
        net.compile(
            "adam",
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
            run_eagerly=eager,
        )
        history = net.fit(X, LABELS, 8, epochs=30, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]
        assert net.predict(X, verbose=0).shape == (22, 3)
        assert net.metrics_names == ["loss", "accuracy"]

    @pytest.mark.feature("4D-58")
    def test_python_that_cannot_be_planned_runs_eagerly_with_a_warning(self):
        class Branching(layers.Layer):
            def call(self, inputs):
                return inputs if float(ops.sum(inputs)) > 1e9 else inputs * 2.0

        model = Sequential([layers.Input((4,)), Branching(), layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match=r"runs eagerly.*test_fit.py:\d+"):
            history = model.fit(X, Y, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2


class TestSeveralInputsAndOutputs:
    def test_outputs_with_their_own_losses_and_metrics(self, eager):
        class Two(Model):
            def __init__(self):
                super().__init__()
                self.value = layers.Dense(1)
                self.kind = layers.Dense(3, activation="softmax")

            def call(self, inputs):
                return self.value(inputs), self.kind(inputs)

        model = Two()
        model.compile(
            SGD(0.0),
            ["mse", "sparse_categorical_crossentropy"],
            loss_weights=[0.9, 0.1],
            metrics=[["mae"], ["accuracy"]],
            run_eagerly=eager,
        )
        history = model.fit(X, (Y[:, 0], LABELS), 8, verbose=0).history
        value, kind = model.predict(X, verbose=0)
        chosen = kind[np.arange(22), LABELS].astype("f8")
        expected = {
            "loss": 0.9 * ((value - Y) ** 2).mean() - 0.1 * np.log(chosen).mean(),
            "mse_loss": ((value - Y) ** 2).mean(),
            "sparse_categorical_crossentropy_loss": -np.log(chosen).mean(),
            "mae": np.abs(value - Y).mean(),
            "accuracy": (kind.argmax(1) == LABELS).mean(),
        }
        assert sorted(history) == sorted(expected)
        for name, number in expected.items():
            np.testing.assert_allclose(history[name], [number], rtol=1e-5)

    @pytest.mark.parametrize("form", [tuple, list])
    def test_inputs(self, eager, form):
        class Sum(Model):
            def __init__(self):
                super().__init__()
                self.left, self.right = layers.Dense(1), layers.Dense(1)

            def call(self, inputs):
                left, right = inputs
                return self.left(left) + self.right(right)

        model = Sum()
        model.compile(SGD(0.05), "mse", run_eagerly=eager)
        x = form([X[:, :2], X[:, 1:]])
        history = model.fit(x, Y, 8, epochs=5, validation_data=(x, Y), verbose=0)
        expected = model.evaluate(x, Y, verbose=0)
        np.testing.assert_allclose(history.history["val_loss"][-1], expected, rtol=1e-5)
        assert history.history["loss"][-1] < history.history["loss"][0]
        k1, b1, k2, b2 = model.get_weights()
        by_hand = x[0] @ k1 + b1 + x[1] @ k2 + b2
        got = model.predict(x, verbose=0)
        np.testing.assert_allclose(got, by_hand, rtol=1e-4, atol=1e-6)
