# SPDX-License-Identifier: Apache-2.0
"""Mistakes are named before training starts, and leave the model as it was."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import callbacks, layers, losses
from fastnn.errors import DTypeError, NotCompiledError, ShapeError
from fastnn.models import Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype("float32")
Y = RNG.normal(size=(20, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 20)


@pytest.fixture(params=[False, True], ids=["native", "eager"])
def classifier(request):
    model = Sequential(
        [layers.Input((4,)), layers.Dense(3, activation="softmax")], name="m"
    )
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=request.param)
    return model


def regression(loss="mse"):
    model = Sequential([layers.Input((4,)), layers.Dense(1)], name="m")
    model.compile("sgd", loss)
    return model


def refuses(error, message, model, *args, method="fit", **kwargs):
    """The call raises, and neither weights nor optimizer have moved."""
    before = model.get_weights()
    with pytest.raises(error, match=message) as caught:
        getattr(model, method)(*args, **kwargs)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    if model.compiled:
        assert int(model.optimizer.iterations) == 0
    return str(caught.value)


class TestShapes:
    @pytest.mark.feature("4D-44")
    def test_flattened_images(self):
        model = Sequential(
            [layers.Input((28, 28)), layers.Flatten(), layers.Dense(10, "softmax")],
            name="m",
        )
        model.compile("sgd", "sparse_categorical_crossentropy")
        text = refuses(
            ShapeError, "fit", model, np.zeros((32, 784)), np.zeros(32, int), verbose=0
        )
        assert text == (
            "[fit] model 'm' expects an input of shape (None, 28, 28); received shape "
            "(32, 784). x.reshape(-1, 28, 28) has the expected shape."
        )

    @pytest.mark.parametrize(
        "method", ["fit", "evaluate", "train_on_batch", "test_on_batch"]
    )
    def test_wrong_features(self, classifier, method):
        message = rf"\[{method}\] model 'm' expects .*\(None, 4\).*received .*\(20, 5\)"
        refuses(ShapeError, message, classifier, X[:, [0] * 5], LABELS, method=method)

    @pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
    def test_wrong_features_of_predict(self, classifier, method):
        message = rf"\[{method}\] .*received shape \(20, 3\)"
        refuses(ShapeError, message, classifier, X[:, :3], method=method)

    def test_validation_data(self, classifier):
        refuses(
            ShapeError,
            r"\[validation_data\] model 'm' expects",
            classifier,
            X,
            LABELS,
            validation_data=(X[:, :2], LABELS),
        )

    def test_a_deferred_model_names_the_layer(self):
        model = Sequential([layers.Permute((2, 1), name="p"), layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.raises(ShapeError, match="'p' expects an input of rank 3"):
            model.fit(X, Y)
        assert not model.built

    def test_several_arrays_for_one_input(self, classifier):
        refuses(
            ShapeError, "has one input, received 2 arrays", classifier, [X, X], LABELS
        )

    def test_targets_of_another_width(self):
        message = r"must have the same shape(.|\n)*\(20, 2\)(.|\n)*\(20, 1\)"
        refuses(ShapeError, message, regression(), X, np.zeros((20, 2)), verbose=0)

    def test_weights_with_more_axes_than_the_targets(self, classifier):
        refuses(
            ShapeError,
            r"sample_weight \(20, 3\) has more axes than y \(20,\)",
            classifier,
            X,
            LABELS,
            sample_weight=np.ones((20, 3)),
        )


class TestValues:
    @pytest.mark.parametrize(("label", "row"), [(3, 7), (-1, 0), (255, 19)])
    def test_labels_outside_the_classes(self, classifier, label, row):
        labels = LABELS.copy()
        labels[row] = label
        refuses(
            ValueError,
            rf"\[fit\] label {label} in row {row} is not a class: the model has 3 "
            r"outputs, so labels must be 0..2",
            classifier,
            X,
            labels,
            verbose=0,
        )

    def test_float_labels_and_columns(self, classifier):
        labels = LABELS[:, None].astype("float64")
        labels[4] = 9.0
        refuses(ValueError, r"label 9.0 in row 4", classifier, X, labels, verbose=0)

    def test_labels_of_generators_are_checked_batch_by_batch(self, classifier):
        batches = iter([(X[:4], LABELS[:4] * 0 + 7)])
        refuses(ValueError, "label 7 in row 0", classifier, batches, verbose=0)

    def test_an_ignored_class_is_no_mistake(self):
        model = Sequential([layers.Input((4,)), layers.Dense(3)])
        loss = losses.SparseCategoricalCrossentropy(True, ignore_class=-1)
        model.compile("sgd", loss)
        labels = LABELS.copy()
        labels[3] = -1
        model.fit(X, labels, verbose=0)
        labels[5] = -2
        with pytest.raises(ValueError, match="label -2 in row 5"):
            model.fit(X, labels, verbose=0)

    def test_a_fractional_label_beside_an_ignored_one(self):
        model = Sequential([layers.Input((4,)), layers.Dense(3)])
        loss = losses.SparseCategoricalCrossentropy(True, ignore_class=-1)
        model.compile("sgd", loss)
        labels = LABELS.astype("float32")
        labels[3], labels[6] = -1, 0.5
        with pytest.raises(ValueError, match=r"label 0\.5 in row 6 is no whole number"):
            model.fit(X, labels, verbose=0)

    def test_one_hot_rows_for_a_sparse_loss(self, classifier):
        message = "one integer per row, received y .*argmax"
        refuses(ShapeError, message, classifier, X, np.eye(3)[LABELS], verbose=0)

    @pytest.mark.parametrize("loss", ["mse", losses.Huber()])
    def test_nan_targets(self, loss):
        y = Y.copy()
        y[11] = np.nan
        message = r"\[fit\] y is NaN in row 11"
        refuses(ValueError, message, regression(loss), X, y, verbose=0)

    def test_nan_labels(self, classifier):
        labels = LABELS.astype("float32")
        labels[2] = np.nan
        refuses(ValueError, "y is NaN in row 2", classifier, X, labels, verbose=0)

    def test_a_users_loss_may_want_nan(self):
        from fastnn import ops

        def masked(y_true, y_pred):
            known = ops.where(ops.isnan(y_true), y_pred, y_true)
            return ops.mean(ops.square(known - y_pred), axis=-1)

        y = Y.copy()
        y[3] = np.nan
        history = regression(masked).fit(X, y, verbose=0)
        assert np.isfinite(history.history["loss"][0])


class TestData:
    def test_lengths(self, classifier):
        refuses(ShapeError, r"x \(20, 4\), y \(7,\)", classifier, X, LABELS[:7])
        refuses(
            ShapeError,
            r"sample_weight \(3,\)",
            classifier,
            X,
            LABELS,
            sample_weight=np.ones(3),
        )

    @pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch"])
    def test_empty(self, classifier, method):
        message = rf"\[{method}\] there are no samples; received x \(0, 4\)"
        refuses(ShapeError, message, classifier, X[:0], LABELS[:0], method=method)
        refuses(
            ShapeError, "no samples", classifier, X[:0], method="predict", verbose=0
        )

    def test_text(self, classifier):
        message = r"\[fit\] x must hold numbers, received ndarray of dtype <U"
        refuses(DTypeError, message, classifier, X.astype(str), LABELS)
        refuses(
            DTypeError, r"y must hold numbers", classifier, X, LABELS.astype(object)
        )

    def test_missing_targets(self, classifier):
        refuses(ValueError, "needs targets: y was not given", classifier, X, verbose=0)


class TestNotCompiled:
    @pytest.mark.parametrize(
        "method", ["fit", "evaluate", "train_on_batch", "test_on_batch"]
    )
    def test_it_says_what_to_do(self, method):
        model = Sequential([layers.Input((4,)), layers.Dense(1)])
        message = rf"\[{method}\] call `compile` before `{method}`"
        refuses(NotCompiledError, message, model, X, Y, method=method)

    def test_nothing_is_built(self):
        model = Sequential([layers.Dense(1)])
        with pytest.raises(NotCompiledError):
            model.fit(X, Y)
        assert not model.built


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 0}, "batch_size must be at least 1, received 0"),
            ({"batch_size": -3}, "batch_size must be at least 1, received -3"),
            ({"batch_size": 2.5}, "batch_size must be an integer, received 2.5"),
            ({"epochs": -1}, "epochs must be at least 0, received -1"),
            ({"epochs": "5"}, "epochs must be an integer, received '5'"),
            ({"initial_epoch": -1}, "initial_epoch must be at least 0"),
            ({"steps_per_epoch": 0}, "steps_per_epoch must be at least 1"),
            ({"validation_steps": 0}, "validation_steps must be at least 1"),
            ({"validation_batch_size": 0}, "validation_batch_size must be at least 1"),
            ({"validation_freq": 0}, "validation_freq must be at least 1"),
            ({"validation_split": 1.0}, "validation_split must be between 0 and 1"),
            ({"validation_split": -0.1}, "validation_split must be between 0 and 1"),
            ({"validation_split": 2}, "validation_split must be between 0 and 1"),
            ({"validation_split": "x"}, "validation_split must be a number"),
            ({"validation_split": 0.99}, "leaves 0 for training and 20"),
            ({"verbose": 3}, "verbose.* must be 'auto', 0, 1 or 2, received 3"),
            ({"validation_data": (X,)}, r"must be \(x, y\).*received 1 items"),
        ],
    )
    def test_bad_numbers(self, classifier, options, message):
        refuses(ValueError, message, classifier, X, LABELS, **options)

    def test_validation_split_of_a_generator(self, classifier):
        refuses(
            ValueError,
            "validation_split needs arrays",
            classifier,
            iter([(X, LABELS)]),
            validation_split=0.5,
        )

    def test_callbacks(self, classifier):
        refuses(
            TypeError, "expected Callback objects", classifier, X, LABELS, callbacks=[3]
        )

    @pytest.mark.parametrize("wrap", [lambda c: c, lambda c: [c]])
    def test_classes_of_callbacks(self, classifier, wrap):
        given = wrap(callbacks.EarlyStopping)
        hint = r"Make an instance: EarlyStopping\(\)"
        refuses(TypeError, hint, classifier, X, LABELS, callbacks=given)


class TestMasks:
    MASK = np.array([[True, False, True, True]])

    @pytest.mark.parametrize("functional", [False, True])
    def test_a_model_hands_a_mask_to_its_layers(self, functional):
        inputs, softmax = layers.Input((4,)), layers.Softmax()
        model = (
            Model(inputs, softmax(inputs))
            if functional
            else Sequential([inputs, softmax])
        )
        expected = softmax(X, mask=self.MASK).numpy()
        np.testing.assert_array_equal(model(X, mask=self.MASK).numpy(), expected)
        x, mask = layers.Input((4,)), layers.Input((4,), dtype="bool")
        outer = Model([x, mask], model(x, mask=mask))
        np.testing.assert_array_equal(
            outer([X, np.repeat(self.MASK, len(X), 0)]), expected
        )
        np.testing.assert_array_equal(model(X, mask=None).numpy(), softmax(X).numpy())

    def test_a_call_of_ones_own_takes_it(self):
        class Own(Model):
            def __init__(self):
                super().__init__()
                self.softmax = layers.Softmax()

            def call(self, inputs, mask=None):
                return self.softmax(inputs, mask=mask)

        mask = np.broadcast_to(self.MASK, X.shape)
        assert (Own()(X, mask=mask).numpy()[:, 1] == 0).all()
