# SPDX-License-Identifier: Apache-2.0
"""Steps, losses and metrics of users around functional models: as plans, or eagerly."""

from __future__ import annotations

import warnings

import functional_cases as cases
import numpy as np
import pytest

import fastnn
from fastnn import keras, layers, ops

CASE = cases.two_ends(keras)


def ends():
    """Inputs and outputs of a fresh model with two of each."""
    model = keras.models.clone_model(CASE.model)
    cases.start(model)
    return model.input, model.output


def fit(model, eager, **options):
    """History of two epochs on the data of the case, after which it is still native."""
    given = {**CASE.compile, **options}
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager, **given)
    history = model.fit(
        CASE.x, CASE.y, batch_size=4, epochs=2, shuffle=False, verbose=0
    ).history
    if not eager:
        runner = model._get_runner()
        assert runner._eager is None and runner.plan("train") is not None
    return history


class OwnTraining(fastnn.Model):
    """Its step is written out, with a metric of its own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.norm = keras.metrics.Mean(name="norm")

    def train_step(self, data):
        x, y = data
        with fastnn.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_weights, strict=True)
        )
        self.norm.update_state(ops.max([ops.max(ops.abs(g)) for g in gradients]))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return {**self.compute_metrics(x, y, outputs), "norm": self.norm.result()}


class OwnLoss(fastnn.Model):
    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.01 * ops.sum(ops.square(self.get_layer("left").kernel))


class OwnMetrics(fastnn.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return {**results, "twice": 2 * results["value_mae"]}


class OwnTest(fastnn.Model):
    def test_step(self, data):
        x, y = data
        value, _ = self(x, training=False)
        return {"far": ops.max(ops.abs(value - y[0]))}


@pytest.mark.parametrize("cls", [OwnTraining, OwnLoss, OwnMetrics, OwnTest])
def test_overridden_steps_run_as_plans_with_the_same_results(cls):
    native, eager = (fit(cls(*ends()), eager) for eager in (False, True))
    assert native.keys() == eager.keys() and len(native) >= 5
    for name, values in native.items():
        np.testing.assert_allclose(values, eager[name], rtol=1e-5, err_msg=name)


def test_an_own_loss_does_what_the_regularizer_does():
    class Plain(fastnn.Model):
        pass

    inputs, outputs = ends()
    own = OwnLoss(inputs, outputs)
    plain = Plain(*ends())
    plain.get_layer("left").kernel.regularizer = keras.regularizers.L2(0.01)
    one, other = fit(own, False), fit(plain, False)
    np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-5)


def test_own_test_step_is_what_evaluate_gives(eager):
    model = OwnTest(*ends())
    fit(model, eager)
    got = model.evaluate(CASE.x, CASE.y, verbose=0, batch_size=22, return_dict=True)
    value = model.predict(CASE.x, verbose=0)[0]
    assert got == {"far": pytest.approx(np.abs(value - CASE.y[0]).max(), rel=1e-5)}


# ---- what cannot be traced ---------------------------------------------------------


class LooksAtValues(layers.Layer):
    def call(self, inputs):
        if float(ops.max(inputs)) > 0:  # LINE call
            return inputs * 1.5
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def loss_looking(y_true, y_pred):
    error = ops.mean(ops.square(y_true - y_pred), axis=-1)
    return error * (2.0 if float(ops.max(error)) > 0 else 1.0)  # LINE loss


def metric_looking(y_true, y_pred):
    return ops.convert_to_tensor(abs(y_true.numpy() - y_pred.numpy()))  # LINE metric


class StepLooking(fastnn.Model):
    def train_step(self, data):
        logs = super().train_step(data)
        assert np.isfinite(logs["loss"])  # LINE train_step
        return logs


class LossLooking(fastnn.Model):
    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        return loss if loss > 0 else -loss  # LINE compute_loss


def line(mark):
    """Place of the line that is marked in this file."""
    with open(__file__, encoding="utf-8") as file:
        found = [i for i, text in enumerate(file, 1) if text.endswith(f"LINE {mark}\n")]
    assert len(found) == 1
    return f"test_functional_steps.py:{found[0]} "


def with_layer():
    x = fastnn.Input((4,))
    hidden = LooksAtValues()(layers.Dense(3, name="left")(x))
    return fastnn.Model(x, layers.Dense(1)(hidden))


def plain(cls=fastnn.Model):
    x = fastnn.Input((4,))
    return cls(x, layers.Dense(1)(layers.Dense(3)(x)))


@pytest.mark.parametrize(
    ("mark", "make", "options"),
    [
        ("call", with_layer, {"loss": "mse"}),
        ("loss", plain, {"loss": loss_looking}),
        ("metric", plain, {"loss": "mse", "metrics": [metric_looking]}),
        ("train_step", lambda: plain(StepLooking), {"loss": "mse"}),
        ("compute_loss", lambda: plain(LossLooking), {"loss": "mse"}),
    ],
)
def test_what_looks_at_values_runs_eagerly_with_one_warning(mark, make, options):
    x, y = CASE.x[0], CASE.y[0]

    def train(eager):
        model = make()
        cases.start(model)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager, **options)
        history = model.fit(
            x, y, batch_size=4, epochs=2, validation_split=0.3, verbose=0, shuffle=False
        ).history
        if not eager and mark == "train_step":  # the other steps are plans all the same
            assert model._get_runner().plan("test").summary()
        return history, model.evaluate(x, y, verbose=0), model.predict(x, verbose=0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = train(False)
    assert [w.category for w in caught] == [UserWarning]
    text = str(caught[0].message)
    assert "runs eagerly, which is slower" in text and line(mark) in text
    assert caught[0].filename == __file__  # the line that called fit
    want = train(True)
    assert got[0].keys() == want[0].keys()
    for name, values in got[0].items():
        np.testing.assert_allclose(values, want[0][name], rtol=1e-5)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-5)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-5, atol=1e-6)
