# SPDX-License-Identifier: Apache-2.0
"""What changes between two calls takes effect in the second: no plan is stale."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

from fastnn import (
    Sequential,
    config,
    constraints,
    layers,
    metrics,
    ops,
    regularizers,
)
from fastnn.callbacks import LambdaCallback
from fastnn.data import windows
from fastnn.models import Model
from fastnn.optimizers import SGD, Adam, RMSprop, schedules

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 4)).astype("float32")
Y = RNG.normal(size=(64, 1)).astype("float32")


def make(eager: bool = False, optimizer: Any = None) -> Sequential:
    model = Sequential([layers.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(1)])
    model.compile(optimizer or SGD(0.1), "mse", run_eagerly=eager)
    return model


def mse(model: Any, x: np.ndarray = X) -> float:
    return float(np.mean((model(x).numpy() - Y) ** 2))


def assert_trains(model: Any, expected: bool) -> None:
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(before, model.get_weights(), strict=True)
    ]
    assert changed == [expected] * len(changed)


class TestStructure:
    def test_add_after_predict(self, eager):
        model = make(eager)
        assert model.predict(X, verbose=0).shape == (64, 1)
        model.add(layers.Dense(5))
        outputs = model.predict(X, verbose=0)
        np.testing.assert_allclose(outputs, model(X).numpy(), rtol=1e-6)
        assert outputs.shape == (64, 5)

    def test_add_after_evaluate_and_fit(self, eager):
        model = make(eager)
        model.fit(X, Y, verbose=0)
        model.evaluate(X, Y, verbose=0)
        model.add(layers.Activation("relu"))
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(mse(model), rel=1e-5)
        assert (model.predict(X, verbose=0) >= 0).all()

    def test_pop_after_predict(self, eager):
        model = make(eager)
        model.predict(X, verbose=0)
        model.pop()
        assert model.predict(X, verbose=0).shape == (64, 3)

    def test_attribute_set_to_another_layer(self):
        class Net(Model):
            def __init__(self) -> None:
                super().__init__()
                self.out = layers.Dense(1)

            def call(self, inputs: Any) -> Any:
                return self.out(inputs)

        model = Net()
        model.predict(X, verbose=0)
        model.out = layers.Dense(7)
        assert model.predict(X, verbose=0).shape == (64, 7)
        del model.out
        with pytest.raises(AttributeError, match="out"):
            model.predict(X, verbose=0)

    def test_option_of_an_inner_layer(self):
        inner = Sequential([layers.Dense(1, use_bias=False)])
        model = Sequential([layers.Input((4,)), inner])
        plain = model.predict(X, verbose=0)
        inner.layers[0].activation = ops.square
        np.testing.assert_allclose(model.predict(X, verbose=0), plain**2, rtol=1e-5)

    def test_rate_of_a_dropout_without_one_before(self):
        stack = [layers.Input((4,)), layers.Dropout(0.0), layers.Dense(1)]
        model = Sequential(stack)
        model.compile(SGD(0.1), "mse")
        model.fit(X, Y, verbose=0)
        model.layers[0].rate = 1.0
        before = model.get_weights()
        model.fit(X, Y, verbose=0)  # zeros alone reach the kernel
        np.testing.assert_array_equal(model.get_weights()[0], before[0])

    def test_list_of_layers_changed_in_place_before_fit(self):
        class Stack(Model):
            def __init__(self) -> None:
                super().__init__()
                self.blocks = [layers.Dense(4), layers.Dense(1)]

            def call(self, inputs: Any) -> Any:
                for block in self.blocks:
                    inputs = block(inputs)
                return inputs

        model = Stack()
        model.compile(SGD(0.0), "mse")
        model.evaluate(X, Y, verbose=0)
        del model.blocks[0]
        assert model.evaluate(X, Y, verbose=0) == pytest.approx(mse(model), rel=1e-5)

    def test_what_a_call_leaves_behind_makes_no_new_plan(self):
        class Remembering(layers.Layer):
            def call(self, inputs: Any) -> Any:
                self.last = inputs * 2.0
                return self.last

        model = Sequential([layers.Input((4,)), Remembering(), layers.Dense(1)])
        model.compile(SGD(0.1), "mse")
        model.fit(X, Y, epochs=2, verbose=0)
        plan = model._get_runner().plan()
        model.fit(X, Y, epochs=2, verbose=0)
        model(X)
        assert model._get_runner().plan() is plan

    def test_metric_given_to_a_layer_later_is_found(self):
        model = make()
        model.train_on_batch(X, Y)
        model.layers[0].seen = metrics.Mean(name="seen")
        assert [m.name for m in model.metrics] == ["loss", "seen"]


class TestOptimizer:
    def test_schedule_as_learning_rate_after_fit(self, eager):
        model = make(eager)
        assert_trains(model, True)
        model.optimizer.learning_rate = schedules.ExponentialDecay(0.0, 1, 1.0)
        assert_trains(model, False)
        model.optimizer.learning_rate = lambda: 0.1
        assert_trains(model, True)

    def test_number_as_learning_rate_keeps_the_plan(self):
        model = make()
        model.fit(X, Y, verbose=0)
        plan = model._get_runner().plan()
        model.optimizer.learning_rate = 0.0
        assert_trains(model, False)
        assert model._get_runner().plan() is plan

    def test_optimizer_replaced_after_fit(self, eager):
        model = make(eager)
        assert_trains(model, True)
        model.optimizer = SGD(0.0)
        assert_trains(model, False)
        model.optimizer = Adam(0.1)
        assert_trains(model, True)
        assert int(model.optimizer.iterations) == 2

    def test_optimizer_replaced_between_epochs(self, eager):
        model = make(eager)
        other = Adam(0.01)

        def replace(epoch: int, logs: Any) -> None:
            if epoch == 1:
                model.optimizer = other

        callback = LambdaCallback(on_epoch_begin=replace)
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback])
        assert int(other.iterations) == 4

    @pytest.mark.parametrize(
        ("option", "value"), [("clipvalue", 1e-9), ("clipnorm", 1e-9)]
    )
    def test_option_set_after_fit(self, option, value):
        model = make(optimizer=SGD(0.1, momentum=0.5))
        model.fit(X, Y, verbose=0)
        setattr(model.optimizer, option, value)
        model.optimizer.momentum = 0.0
        before = model.get_weights()
        model.fit(X, Y, verbose=0)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-8)

    def test_weights_left_out_of_the_decay_after_fit(self, eager):
        model = make(eager, SGD(0.1, weight_decay=0.5))
        model.fit(X, Y, batch_size=64, verbose=0)
        model.optimizer.exclude_from_weight_decay(model.weights)
        other = make(eager, SGD(0.1))
        other.set_weights(model.get_weights())
        for each in (model, other):
            each.fit(X, Y, batch_size=64, verbose=0)
        for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)

    @pytest.mark.parametrize(
        ("make_optimizer", "option", "value"),
        [
            (SGD, "momentum", 0.9),
            (Adam, "amsgrad", True),
            (RMSprop, "centered", True),
            (SGD, "use_ema", True),
            (SGD, "gradient_accumulation_steps", 2),
        ],
    )
    def test_option_that_lacks_its_slots_is_refused(
        self, make_optimizer, option, value
    ):
        model = make(optimizer=make_optimizer(0.1))
        setattr(model.optimizer, option, value)
        setattr(model.optimizer, option, None if value == 2 else type(value)(0))
        model.fit(X, Y, verbose=0)
        with pytest.raises(ValueError, match=rf"{option} was off.*new optimizer"):
            setattr(model.optimizer, option, value)

    def test_optimizer_of_a_users_own_step(self):
        class Own(Model):
            def __init__(self) -> None:
                super().__init__()
                self.out = layers.Dense(1)
                self.own_optimizer = SGD(0.1)

            def call(self, inputs: Any) -> Any:
                return self.out(inputs)

            def train_step(self, data: Any) -> Any:
                used, self.optimizer = self.optimizer, self.own_optimizer
                try:
                    return super().train_step(data)
                finally:
                    self.optimizer = used

        model = Own()
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0)
        assert_trains(model, True)
        model.own_optimizer.learning_rate = lambda: 0.0
        assert_trains(model, False)


class TestSettings:
    def test_compile_again_takes_the_new_loss_and_metrics(self, eager):
        model = make(eager)
        model.fit(X, Y, verbose=0)
        model.compile(SGD(0.1), "mae", metrics=["mse"], run_eagerly=eager)
        loss, metric = model.evaluate(X, Y, verbose=0)
        assert loss == pytest.approx(np.abs(model(X).numpy() - Y).mean(), rel=1e-5)
        assert metric == pytest.approx(mse(model), rel=1e-5)

    def test_floatx_changed_between_calls(self):
        seen = []

        class Seeing(layers.Layer):
            def call(self, inputs: Any) -> Any:
                seen.append(config.floatx())
                return inputs

        model = Sequential([layers.Input((4,)), Seeing(), layers.Dense(1)])
        model.compile(SGD(0.0), "mse")
        first = model.evaluate(X, Y, verbose=0)
        seen.clear()
        config.set_floatx("float64")
        try:
            assert model.evaluate(X, Y, verbose=0) == pytest.approx(first, rel=1e-5)
            assert seen == ["float64"]
        finally:
            config.set_floatx("float32")

    def test_epsilon_changed_between_calls(self):
        model = Sequential([layers.Input((4,)), layers.Dense(1, "sigmoid")])
        loss = "mean_absolute_percentage_error"
        model.compile(SGD(0.0), loss)
        zeros = np.zeros((64, 1), "float32")
        before, epsilon = model.evaluate(X, zeros, verbose=0), config.epsilon()
        config.set_epsilon(1e-3)
        try:
            assert model.evaluate(X, zeros, verbose=0) < before / 100
        finally:
            config.set_epsilon(epsilon)


class TestTrainable:
    @pytest.mark.filterwarnings("ignore:.* are frozen:UserWarning")
    def test_unfreezing_after_a_fit_that_trained_nothing(self, eager):
        model = make(eager)
        model.trainable = False
        assert_trains(model, False)
        model.trainable = True
        assert_trains(model, True)

    @pytest.mark.filterwarnings("ignore:.* are frozen:UserWarning")
    def test_unfreezing_what_the_optimizer_does_not_know_is_an_error(self, eager):
        model = make(eager)
        model.layers[0].trainable = False
        model.compile(SGD(0.1, momentum=0.9), "mse", run_eagerly=eager)
        model.fit(X, Y, verbose=0)
        model.layers[0].trainable = True
        before = model.get_weights()
        for _ in range(2):
            with pytest.raises(ValueError, match=r"does not know.*compile the model"):
                model.fit(X, Y, verbose=0)
        np.testing.assert_equal(model.get_weights(), before)
        model.compile(SGD(0.1, momentum=0.9), "mse", run_eagerly=eager)
        assert_trains(model, True)

    def test_a_single_variable_frozen_after_fit(self, eager):
        model = make(eager)
        model.fit(X, Y, verbose=0)
        kernel = model.layers[0].kernel
        kernel.trainable = False
        before = model.get_weights()
        model.fit(X, Y, verbose=0)
        after = model.get_weights()
        names = [w.path for w in model.weights]
        for name, a, b in zip(names, before, after, strict=True):
            assert np.array_equal(a, b) == (name == kernel.path)

    def test_a_single_variable_frozen_between_single_batches(self, eager):
        model = make(eager)
        for _ in range(4):
            model.train_on_batch(X, Y)
        kernel = model.layers[0].kernel
        kernel.trainable = False
        before = kernel.numpy()
        model.train_on_batch(X, Y)
        np.testing.assert_array_equal(kernel.numpy(), before)

    def test_constraint_and_regularizer_given_after_fit(self, eager):
        model = make(eager)
        model.fit(X, Y, verbose=0)
        plain = model.evaluate(X, Y, verbose=0)
        kernel = model.layers[0].kernel
        kernel.regularizer = regularizers.L2(10.0)
        penalty = float(model.losses[0].numpy())
        np.testing.assert_allclose(
            model.evaluate(X, Y, verbose=0), plain + penalty, rtol=1e-5
        )
        kernel.constraint = constraints.NonNeg()
        model.fit(X, Y, verbose=0)
        assert kernel.numpy().min() >= 0


class TestData:
    @pytest.mark.parametrize("view", [lambda a: a[:, ::2], lambda a: a.T[:4].T])
    def test_data_written_in_place_between_calls(self, view):
        x = view(RNG.normal(size=(64, 8)).astype("float32"))
        model = make(optimizer=SGD(0.0))
        model.fit(x, Y, verbose=0, validation_data=(x, Y))
        model.evaluate(x, Y, verbose=0)
        x[...] = 0.0
        assert model.evaluate(x, Y, verbose=0) == pytest.approx(mse(model, x), rel=1e-5)
        history = model.fit(x, Y, verbose=0, validation_data=(x, Y)).history
        assert history["loss"] == pytest.approx([mse(model, x)], rel=1e-5)
        assert history["val_loss"] == pytest.approx([mse(model, x)], rel=1e-5)

    def test_strided_data_is_converted_once_per_fit(self, monkeypatch):
        x = np.asfortranarray(X)
        model, calls = make(), []
        convert = np.ascontiguousarray

        def counting(array: Any, *args: Any) -> Any:
            calls.append(array is x)
            return convert(array, *args)

        monkeypatch.setattr(windows.np, "ascontiguousarray", counting)
        model.fit(x, Y, epochs=4, verbose=0, validation_data=(x[:32], Y[:32]))
        assert sum(calls) == 1

    @pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "batch"])
    def test_data_is_not_kept_alive(self, method):
        model = make()
        x, y = X.copy(), Y.copy()
        if method == "fit":
            model.fit(x, y, verbose=0, validation_split=0.5)
        elif method == "evaluate":
            model.evaluate(x, y, verbose=0)
        elif method == "predict":
            model.predict(x, verbose=0, batch_size=64)
        else:
            model.train_on_batch(x, y)
            model.test_on_batch(x, y)
        watched = weakref.ref(x), weakref.ref(y)
        del x, y
        gc.collect()
        assert [ref() for ref in watched] == [None, None]


class TestMemory:
    def test_deleted_models_are_freed(self):
        def one() -> weakref.ref[Any]:
            model = make(optimizer="adam")
            model.fit(X, Y, verbose=0, validation_split=0.25)
            model.predict(X, verbose=0)
            model.layers[0].trainable = False
            return weakref.ref(model)

        watched = [one() for _ in range(3)]
        gc.collect()
        assert [ref() for ref in watched] == [None] * 3

    def test_building_and_training_again_and_again_keeps_no_objects(self):
        def rounds(count: int) -> int:
            for _ in range(count):
                make().fit(X, Y, verbose=0)
            gc.collect()
            return len(gc.get_objects())

        first = rounds(3)
        assert rounds(20) <= first + 50
