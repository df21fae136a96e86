# SPDX-License-Identifier: Apache-2.0
"""Single batches by the short way: taken, right, and left when anything changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastnn import (
    GradientTape,
    Input,
    Model,
    Sequential,
    Tensor,
    callbacks,
    config,
    layers,
    ops,
)
from fastnn.models import trainer
from fastnn.optimizers import SGD, Adam

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4)).astype("float32")
Y = RNG.integers(0, 3, 8)


def make(eager: bool = False, optimizer: Any = None) -> Sequential:
    model = Sequential(
        [layers.Input((4,)), layers.Dense(5, "tanh"), layers.Dense(3, "softmax")]
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer or SGD(0.1), loss, metrics=["accuracy"], run_eagerly=eager)
    return model


@pytest.fixture
def long_way(monkeypatch):
    """Counts the calls that take the long way."""
    calls: list[str] = []
    adapt = trainer.adapt

    def counting(*args: Any, **kwargs: Any) -> Any:
        calls.append("adapt")
        return adapt(*args, **kwargs)

    monkeypatch.setattr(trainer, "adapt", counting)
    return calls


CALLS = {
    "predict": lambda m: m.predict(X, verbose=0),
    "predict_on_batch": lambda m: m.predict_on_batch(X),
    "train_on_batch": lambda m: m.train_on_batch(X, Y),
    "test_on_batch": lambda m: m.test_on_batch(X, Y),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_second_call_is_short_and_equal_to_the_long_one(name, long_way) -> None:
    ours, other = make(), make()
    other.set_weights(ours.get_weights())
    for i in range(4):
        ours_result = CALLS[name](ours)
        assert len(long_way) == 1, f"call {i} went the long way"
    long_way.clear()
    for _ in range(4):
        other._runners.runner and other._runners.runner.ready.forget(name[:5])
        other._runners._counts = (-1, -1)
        expected = CALLS[name](other)
    assert len(long_way) == 4
    np.testing.assert_array_equal(ours_result, expected)
    for a, b in zip(ours.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CALLS)
def test_other_batches_go_their_own_ways(name, long_way) -> None:
    model = make(optimizer=SGD(0.0))
    batches = [(X[:n], Y[:n]) for n in (1, 3, 8)]
    batches += [(x.astype("float64"), y) for x, y in batches]
    batches += [(np.asfortranarray(X), Y), (X[::2], Y[::2])]
    run = getattr(model, name)

    def results() -> list[Any]:
        quiet = {"verbose": 0} if name == "predict" else {}
        one = name.startswith("predict")
        return [run(x, **quiet) if one else run(x, y) for x, y in batches]

    model.reset_metrics()
    first = results()
    count = len(long_way)
    model.reset_metrics()
    for a, b in zip(first, results(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(long_way) - count == 5, (
        "float64, Fortran order and strides are converted"
    )


@pytest.mark.parametrize("name", ["predict", "predict_on_batch", "test_on_batch"])
def test_new_weights_are_seen(name) -> None:
    model = make()
    before = CALLS[name](model)
    CALLS[name](model)
    model.set_weights([w * 0 for w in model.get_weights()])
    zero = CALLS[name](model)
    assert not np.array_equal(before, zero)
    if name != "test_on_batch":
        np.testing.assert_allclose(zero, np.full((8, 3), 1 / 3), rtol=1e-6)
    model.layers[1].bias.assign([9.0, 0.0, 0.0])
    model.reset_metrics()
    after = CALLS[name](model)
    assert not np.array_equal(zero, after)


def test_training_between_predictions_is_seen() -> None:
    model = make()
    for _ in range(3):
        before = model.predict(X, verbose=0)
        model.train_on_batch(X, Y)
        assert not np.array_equal(before, model.predict(X, verbose=0))
        model.fit(X, Y, verbose=0)
        np.testing.assert_array_equal(
            model.predict(X, verbose=0), model.predict_on_batch(X)
        )


def test_results_are_not_overwritten() -> None:
    model = make()
    model.predict(X, verbose=0)
    first = model.predict(X, verbose=0)
    kept = first.copy()
    model.predict(-X, verbose=0)
    np.testing.assert_array_equal(first, kept)


def test_freezing_and_thawing() -> None:
    model = make()
    for trainable in (True, True, False, False, True, True):
        model.layers[0].trainable = trainable
        before = model.get_weights()
        model.train_on_batch(X, Y)
        changed = [
            not np.array_equal(a, b)
            for a, b in zip(before, model.get_weights(), strict=True)
        ]
        assert changed == [trainable] * 2 + [True] * 2


def test_changes_of_model_optimizer_and_mode() -> None:
    model = make()
    for _ in range(2):
        model.predict(X, verbose=0)
        model.train_on_batch(X, Y)
    model.optimizer = Adam(0.0)
    before = model.get_weights()
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    np.testing.assert_equal(model.get_weights(), before)
    assert int(model.optimizer.iterations) == 2
    model.run_eagerly = True
    model.train_on_batch(X, Y)
    with pytest.raises(ValueError, match="runs eagerly"):
        model.plan()
    model.run_eagerly = False
    model.add(layers.Dense(7))
    assert model.predict(X, verbose=0).shape == (8, 7)
    model.layers[0].activation = None
    assert model.predict(X, verbose=0).shape == (8, 7)
    model.compile("sgd", "mse", metrics=["mae"])
    assert len(model.train_on_batch(X, np.zeros((8, 7), "f"))) == 2


def test_settings_are_part_of_the_signature() -> None:
    model = make()
    for _ in range(2):
        model.predict(X, verbose=0)
    config.set_floatx("float64")
    try:
        np.testing.assert_allclose(model.predict(X, verbose=0), model(X), rtol=1e-5)
    finally:
        config.set_floatx("float32")


def test_bad_calls_are_refused_as_ever() -> None:
    model = make()
    for _ in range(2):
        model.predict(X, verbose=0)
        model.train_on_batch(X, Y)
    before = model.get_weights()
    with pytest.raises(ValueError, match="batch_size must be"):
        model.predict(X, batch_size=0, verbose=0)
    with pytest.raises(ValueError, match="batch_size must be an integer"):
        model.predict(X, batch_size=8.0, verbose=0)
    with pytest.raises(ValueError, match="received 'loud'"):
        model.predict(X, verbose="loud")
    with pytest.raises(ValueError, match="label 3 in row 2 is not a class"):
        model.train_on_batch(X, np.array([0, 1, 3, 0, 0, 0, 0, 0]))
    with pytest.raises(ValueError, match=r"\(8, 3\)"):
        model.predict(X[:, :3], verbose=0)
    with pytest.raises(ValueError, match="same number of samples"):
        model.train_on_batch(X, Y[:5])
    np.testing.assert_equal(model.get_weights(), before)


def test_nan_targets_are_found_every_time() -> None:
    model = Sequential([layers.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    targets = np.zeros(8, "f")  # (8,) for outputs (8, 1): only reshaped on the way
    for _ in range(3):
        model.train_on_batch(X, targets)
    targets[5] = np.nan
    with pytest.raises(ValueError, match="NaN in row 5"):
        model.train_on_batch(X, targets)


def test_callbacks_of_predict_are_called() -> None:
    model = make()
    seen: list[int] = []
    record = callbacks.LambdaCallback(on_predict_begin=lambda logs: seen.append(1))
    for _ in range(3):
        model.predict(X, verbose=0)
        model.predict(X, verbose=0, callbacks=[record])
    assert len(seen) == 3


def test_sample_weights_class_weights_and_dicts() -> None:
    a, b = make(), make(eager=True)
    b.set_weights(a.get_weights())
    weight = np.linspace(0, 1, 8).astype("f")
    for _ in range(3):
        for model in (a, b):
            model.last = [
                model.train_on_batch(X, Y, sample_weight=weight, return_dict=True),
                model.train_on_batch(X, Y, class_weight={0: 2.0, 1: 0.5, 2: 1.0}),
                model.train_on_batch(X, Y),
            ]
        assert list(a.last[0]) == list(b.last[0]) == ["accuracy", "loss"]
        assert a.last[0] == pytest.approx(b.last[0], rel=1e-5)
        np.testing.assert_allclose(a.last[1:], b.last[1:], rtol=1e-5)


def test_many_batches_go_the_short_way_after_the_first(long_way) -> None:
    model = make()
    x = RNG.normal(size=(100, 4)).astype("f")
    outputs = model.predict(x, batch_size=8, verbose=0)
    np.testing.assert_allclose(outputs, model(x).numpy(), rtol=1e-5)
    assert outputs.shape == (100, 3) and len(long_way) == 1


class TestCall:
    """`model(x)` on small arrays."""

    def plan_calls(self, model: Any) -> int:
        plans = model._runners.runner.calling._plans.values()
        return sum(plan is not None for plan in plans)

    def test_a_plan_takes_over_with_the_same_bits(self) -> None:
        model = make()
        first = model(X).numpy()
        for _ in range(4):
            y = model(X)
            np.testing.assert_array_equal(y.numpy(), first)
            assert type(y) is Tensor and y.shape == (8, 3)
        assert self.plan_calls(model) == 1
        np.testing.assert_array_equal(model(X.astype("d")).numpy(), first)

    def test_new_weights_and_layers_are_seen(self) -> None:
        model = make()
        for _ in range(4):
            before = model(X).numpy()
        model.set_weights([w * 0 for w in model.get_weights()])
        np.testing.assert_allclose(model(X).numpy(), 1 / 3, rtol=1e-6)
        model.layers[0].kernel.assign(np.ones((4, 5), "f"))
        model.layers[1].kernel.assign(RNG.normal(size=(5, 3)).astype("f"))
        assert not np.array_equal(model(X).numpy(), before)
        model.add(layers.Dense(2))
        assert model(X).shape == (8, 2)

    def test_tapes_see_every_op(self) -> None:
        model = make()
        for _ in range(3):
            model(X)
        with GradientTape() as tape:
            loss = ops.sum(model(X)[:, 0])
        grads = tape.gradient(loss, model.trainable_weights)
        assert all(g is not None and np.abs(g.numpy()).max() > 0 for g in grads)

    def test_training_mode_and_other_arguments(self) -> None:
        model = Sequential(
            [layers.Input((4,)), layers.Activation("exponential"), layers.Dropout(0.5)]
        )
        for _ in range(4):
            np.testing.assert_allclose(model(X).numpy(), np.exp(X), rtol=1e-6)
        assert self.plan_calls(model) == 1
        assert (model(X, training=True).numpy() == 0).any()
        assert model(X.tolist()).shape == X.shape

    def test_layers_with_effects_are_called_each_time(self) -> None:
        seen: list[int] = []

        class Noting(layers.Layer):
            def call(self, inputs: Any) -> Any:
                seen.append(1)
                return inputs

        def activation(x: Any) -> Any:
            seen.append(2)
            return x

        for extra in (Noting(), layers.Dense(2, activation=activation)):
            model = Sequential([layers.Input((4,)), extra])
            seen.clear()
            for _ in range(5):
                model(X)
            assert len(seen) == 5

    def test_losses_of_activities_are_there(self) -> None:
        model = Sequential(
            [layers.Input((4,)), layers.Dense(2, activity_regularizer="l2")]
        )
        for _ in range(4):
            model(X)
            assert len(model.losses) == 1

    def test_errors_are_those_of_the_long_way(self) -> None:
        model = make()
        for _ in range(3):
            model(X)
        with pytest.raises(ValueError, match=r"\(8, 3\)"):
            model(X[:, :3])
        with pytest.raises(TypeError, match="numbers"):
            model(np.array(["a"]))

    def test_functional_models_too(self) -> None:
        a = Input((4,))
        model = Model(a, layers.Dense(2)(ops.concatenate([a, layers.Dense(3)(a)], -1)))
        first = model(X).numpy()
        for _ in range(3):
            np.testing.assert_array_equal(model(X).numpy(), first)
        assert self.plan_calls(model) == 1
