# SPDX-License-Identifier: Apache-2.0
"""compile: every form of its arguments, and what it makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import layers, losses, metrics, ops, optimizers
from fastnn.models import Model, Sequential
from fastnn.models.compile_metrics import CompileMetrics
from fastnn.models.compile_utils import CompileLoss, match_rank

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 4)).astype("float32")
LABELS = RNG.integers(0, 3, 8)
ONE_HOT = np.eye(3, dtype="float32")[LABELS]


def model(units=3, activation="softmax"):
    return Sequential([layers.Input((4,)), layers.Dense(units, activation=activation)])


def results(net, x, y, **options):
    net.compile("sgd", run_eagerly=True, **options)
    return net.evaluate(x, y, verbose=0, return_dict=True)


class TestLoss:
    @pytest.mark.feature("1B-10")
    def test_names_functions_classes_and_objects_agree(self):
        net = model()
        found = [
            results(net, X, LABELS, loss=loss)["loss"]
            for loss in (
                "sparse_categorical_crossentropy",
                "SparseCategoricalCrossentropy",
                losses.sparse_categorical_crossentropy,
                losses.SparseCategoricalCrossentropy,
                losses.SparseCategoricalCrossentropy(),
                ["sparse_categorical_crossentropy"],
                {"output": "sparse_categorical_crossentropy"},
            )
        ]
        probabilities = net.predict(X, verbose=0).astype("float64")
        expected = -np.log(probabilities[np.arange(8), LABELS]).mean()
        np.testing.assert_allclose(found, [expected] * len(found), rtol=1e-5)

    def test_a_users_function(self):
        def cubed(y_true, y_pred):
            return ops.mean(ops.abs(y_true - y_pred) ** 3.0, axis=-1)

        net = model(1, None)
        y = RNG.normal(size=(8, 1)).astype("float32")
        expected = (np.abs(y - net.predict(X, verbose=0)).astype("f8") ** 3).mean()
        np.testing.assert_allclose(
            results(net, X, y, loss=cubed)["loss"], expected, 1e-5
        )

    @pytest.mark.feature("4C-34")
    def test_loss_weights(self):
        net = model(1, None)
        y = RNG.normal(size=(8, 1)).astype("float32")
        plain = results(net, X, y, loss="mse")["loss"]
        halved = results(net, X, y, loss="mse", loss_weights=0.5)["loss"]
        np.testing.assert_allclose(halved, plain / 2, rtol=1e-6)

    def test_regularization_is_added(self):
        net = Sequential(
            [layers.Input((4,)), layers.Dense(1, kernel_regularizer="l2", name="d")]
        )
        y = RNG.normal(size=(8, 1)).astype("float32")
        kernel = net.get_weights()[0].astype("float64")
        plain = ((y - net.predict(X, verbose=0)).astype("f8") ** 2).mean()
        expected = plain + 0.01 * (kernel**2).sum()
        np.testing.assert_allclose(
            results(net, X, y, loss="mse")["loss"], expected, 1e-5
        )

    def test_several_outputs(self):
        a, b = RNG.normal(size=(2, 8, 1))
        c, d = RNG.normal(size=(2, 8, 2))
        as_tensors = [ops.convert_to_tensor(v.astype("f4")) for v in (a, c, b, d)]
        y, p = as_tensors[:2], as_tensors[2:]
        mse = [((a - b) ** 2).mean(), ((c - d) ** 2).mean()]
        mae = np.abs(c - d).mean()
        total = float(CompileLoss("mse")(y, p))
        np.testing.assert_allclose(total, sum(mse), rtol=1e-5)
        total = float(CompileLoss(["mse", "mae"], [0.9, 0.1])(y, p))
        np.testing.assert_allclose(total, 0.9 * mse[0] + 0.1 * mae, rtol=1e-5)
        by_name = CompileLoss({"aux": "mae"}, output_names=["main", "aux"])
        np.testing.assert_allclose(float(by_name(y, p)), mae, rtol=1e-5)
        with pytest.raises(ValueError, match=r"names no output: x. Outputs: main, aux"):
            CompileLoss({"x": "mae", "aux": "mae"}, output_names=["main", "aux"])(y, p)
        with pytest.raises(ValueError, match="2 outputs, loss has 3 entries"):
            CompileLoss(["mse"] * 3)(y, p)


class TestMetrics:
    @pytest.mark.feature("1A-18")
    @pytest.mark.parametrize(
        ("y", "units", "kind"),
        [
            (LABELS, 3, "sparse_categorical_accuracy"),
            (LABELS[:, None], 3, "sparse_categorical_accuracy"),
            (ONE_HOT, 3, "categorical_accuracy"),
            ((LABELS > 0) * 1.0, 1, "binary_accuracy"),
        ],
    )
    @pytest.mark.parametrize("name", ["accuracy", "acc"])
    def test_accuracy_takes_the_form_that_the_shapes_ask_for(
        self, y, units, kind, name
    ):
        net = model(units, "softmax" if units > 1 else "sigmoid")
        p = net.predict(X, verbose=0)
        if units == 1:
            expected = ((p[:, 0] > 0.5) == (y > 0.5)).mean()
        else:
            expected = (p.argmax(-1) == LABELS).mean()
        got = results(
            net, X, y, loss=None if units > 3 else _loss(y, units), metrics=[name]
        )
        np.testing.assert_allclose(got[name], expected, rtol=1e-6)

    def test_names_functions_and_objects(self):
        net = model(1, None)
        y = RNG.normal(size=8)

        def largest(y_true, y_pred):
            return ops.max(ops.abs(y_true - y_pred), axis=-1)

        got = results(
            net,
            X,
            y,
            loss="mse",
            metrics=[
                "mae",
                losses.mean_squared_error,
                metrics.MeanAbsoluteError(name="mine"),
                largest,
            ],
        )
        error = np.abs(y - net.predict(X, verbose=0)[:, 0].astype("f8"))
        assert list(got) == ["largest", "loss", "mae", "mean_squared_error", "mine"]
        np.testing.assert_allclose(got["mae"], error.mean(), rtol=1e-5)
        np.testing.assert_allclose(got["mine"], error.mean(), rtol=1e-5)
        np.testing.assert_allclose(got["largest"], error.mean(), rtol=1e-5)
        np.testing.assert_allclose(got["mean_squared_error"], (error**2).mean(), 1e-5)

    @pytest.mark.feature("4D-45")
    def test_order_of_evaluate_and_of_metrics_names(self):
        net = model(1, None)
        net.compile("sgd", "mse", metrics=["mse", "mae"], run_eagerly=True)
        assert net.metrics_names == ["loss"]  # metrics are made with the first data
        y = RNG.normal(size=8)
        values = net.evaluate(X, y, verbose=0)
        assert net.metrics_names == ["loss", "mse", "mae"]
        assert values[0] == pytest.approx(values[1]) and values[2] != values[1]

    def test_weighted_metrics(self):
        net = model(1, None)
        y, w = RNG.normal(size=8), RNG.uniform(0, 3, size=8)
        net.compile(
            "sgd", "mse", metrics=["mae"], weighted_metrics=["mae"], run_eagerly=True
        )
        got = net.evaluate(X, y, sample_weight=w, verbose=0, return_dict=True)
        error = np.abs(y - net.predict(X, verbose=0)[:, 0].astype("f8"))
        np.testing.assert_allclose(got["mae"], error.mean(), rtol=1e-5)
        np.testing.assert_allclose(
            got["weighted_mae"], (error * w).sum() / w.sum(), rtol=1e-5
        )
        np.testing.assert_allclose(got["loss"], (error**2 * w).mean(), rtol=1e-5)

    def test_equal_names_are_numbered(self):
        group = CompileMetrics(["mae", "mae", metrics.Mean(name="loss")][:2])
        group.build([(8, 1)], [(8, 1)])
        assert group.names == ["mae", "mae_1"]

    @pytest.mark.feature("4C-35")
    def test_several_outputs_prefix_the_names(self):
        group = CompileMetrics([["mae"], ["accuracy"]], output_names=["main", "aux"])
        group.build([(8, 1), (8,)], [(8, 1), (8, 3)])
        assert group.names == ["main_mae", "aux_accuracy"]


def _loss(y, units):
    if units == 1:
        return "binary_crossentropy"
    one_hot = y.ndim == 2 and y.shape[1] == 3
    return "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"


class TestOptimizer:
    @pytest.mark.parametrize(
        "given", ["sgd", "SGD", optimizers.SGD, optimizers.SGD(learning_rate=0.5)]
    )
    def test_forms(self, given):
        net = model()
        net.compile(given, "mse")
        assert isinstance(net.optimizer, optimizers.SGD) and net.compiled
        if isinstance(given, optimizers.Optimizer):
            assert net.optimizer is given

    def test_defaults(self):
        net = model()
        net.compile(loss="mse")
        assert isinstance(net.optimizer, optimizers.RMSprop)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"loss": "mean_squared_eror"}, "Did you mean 'mean_squared_error'"),
            ({"loss": "categorical_crossentrpy"}, "'categorical_crossentropy'"),
            ({"optimizer": "agdam"}, "unknown optimizer 'agdam'.*Did you mean 'adam'"),
            ({"metrics": ["acuracy"]}, "unknown metric 'acuracy'"),
            ({"weighted_metrics": ["mea"]}, "unknown metric 'mea'"),
            ({"loss": 3}, "cannot interpret 3"),
            ({"steps_per_execution": 0}, "steps_per_execution must be at least 1"),
        ],
    )
    def test_unknown_names_change_nothing(self, options, message):
        net = model()
        net.compile("sgd", "mse")
        before = net.optimizer
        with pytest.raises(ValueError, match=message):
            net.compile(**{"optimizer": "adam", "loss": "mae", **options})
        assert net.optimizer is before and net.loss == "mse" and net.compiled

    def test_loss_weights_must_be_numbers(self):
        with pytest.raises(TypeError, match=r"must be numbers, received \['a'\]"):
            model().compile("sgd", "mse", loss_weights=["a"])


@pytest.mark.parametrize(
    ("shape", "output", "expected"),
    [
        ((5,), (None, 1), (5, 1)),
        ((5, 1), (None,), (5,)),
        ((5,), (None, 3), (5,)),
        ((5, 1), (None, 3), (5, 1)),
        ((5, 3), (None, 3), (5, 3)),
        ((5, 2), (None, 2, 1), (5, 2, 1)),
    ],
)
def test_targets_take_the_rank_of_the_outputs(shape, output, expected):
    assert match_rank(np.zeros(shape), output).shape == expected
    assert match_rank(ops.zeros(shape), output).shape == expected


def test_a_model_made_of_added_losses_needs_no_loss():
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, inputs):
            outputs = self.dense(inputs)
            self.add_loss(ops.mean(ops.square(outputs)))
            return outputs

    net = Net()
    net.compile("sgd", run_eagerly=True)
    first, last = (net.fit(X, epochs=20, verbose=0).history["loss"][i] for i in (0, -1))
    assert last < first
