# SPDX-License-Identifier: Apache-2.0
"""Forms of data in fit, evaluate and predict: arrays, streams, dtypes."""

from __future__ import annotations

import numpy as np
import pytest
from training_cases import LABELS, RNG, X, Y, classifier, mlp, regression

from fastnn import Input, layers, ops
from fastnn.models import Model, Sequential
from fastnn.optimizers import SGD


class TestStreams:
    def batches(self, n):
        for _ in range(n):
            yield X[:4], Y[:4]

    def test_one_pass_without_steps(self, eager):
        history = regression(eager).fit(self.batches(5), verbose=0)
        assert len(history.history["loss"]) == 1 and history.params["steps"] == 5

    def test_running_out_stops_with_a_warning(self, eager):
        with pytest.warns(UserWarning, match="data ended after 1 batches of epoch 3"):
            history = regression(eager).fit(
                self.batches(5), epochs=9, steps_per_epoch=2, verbose=0
            )
        assert history.epoch == [0, 1, 2]

    def test_an_iterable_starts_again_each_epoch(self, eager):
        source = list(self.batches(2))

        class Batches:
            def __iter__(self):
                return iter(source)

        history = regression(eager).fit(Batches(), epochs=3, verbose=0)
        assert history.epoch == [0, 1, 2]

    def test_steps_per_epoch_of_arrays_go_on_through_the_data(self, eager):
        model = mlp()
        model.compile(SGD(0.0), "mse", run_eagerly=eager)
        history = model.fit(
            X, Y, 4, epochs=3, steps_per_epoch=3, shuffle=False, verbose=0
        )
        squared = ((model.predict(X, verbose=0).astype("f8") - Y) ** 2)[:, 0]
        batches = [squared[i : i + 4] for i in range(0, 22, 4)]
        expected = [
            np.concatenate(batches[:3]).mean(),
            np.concatenate(batches[3:]).mean(),
        ]
        np.testing.assert_allclose(history.history["loss"][:2], expected, rtol=1e-5)
        assert history.params["steps"] == 3

    @pytest.mark.feature("4D-55", "4D-57")
    def test_evaluate_and_predict(self, eager):
        model = regression(eager)
        expected = model.evaluate(X[:4], Y[:4], verbose=0)
        assert model.evaluate(self.batches(3), verbose=0) == pytest.approx(expected)
        got = model.evaluate(self.batches(9), steps=2, verbose=0)
        assert got == pytest.approx(expected)
        for steps, count in ((None, 3), (2, 2)):
            outputs = model.predict(self.batches(3), steps=steps, verbose=0)
            assert outputs.shape == (4 * count, 1)


class TestEvaluateAndPredict:
    def test_scalar_list_and_dict(self, eager):
        assert isinstance(regression(eager).evaluate(X, Y, verbose=0), float)
        model = classifier(eager)
        values = model.evaluate(X, LABELS, verbose=0)
        logs = model.evaluate(X, LABELS, verbose=0, return_dict=True)
        assert values == [logs["loss"], logs["accuracy"]]

    def test_evaluate_changes_no_weights(self, eager):
        model = classifier(eager)
        before = model.get_weights()
        model.evaluate(X, LABELS, verbose=0)
        model.predict(X, verbose=0)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize("batch_size", [1, 5, 22, 100, None])
    def test_predict_does_not_depend_on_the_batch_size(self, eager, batch_size):
        model = classifier(eager)
        got = model.predict(X, batch_size, verbose=0)
        assert got.dtype == np.float32 and got.shape == (22, 3)
        np.testing.assert_allclose(got, model(X).numpy(), rtol=1e-5)

    def test_predict_needs_no_compile(self):
        model = mlp(3, "softmax")
        np.testing.assert_allclose(
            model.predict(X, verbose=0), model(X).numpy(), rtol=1e-5
        )

    def test_predict_follows_the_weights(self, eager):
        model = regression(eager)
        model.predict(X, verbose=0)
        model.set_weights([np.zeros(w.shape) for w in model.get_weights()])
        assert not model.predict(X, verbose=0).any()

    def test_predicted_arrays_are_not_overwritten_later(self, eager):
        model = regression(eager)
        first = model.predict(X, verbose=0)
        kept = first.copy()
        model.predict(-X, verbose=0)
        np.testing.assert_array_equal(first, kept)

    @pytest.mark.feature("1B-13", "4D-47")
    def test_predict_classes(self, eager):
        model = classifier(eager)
        with pytest.warns(FutureWarning, match="old spelling"):
            classes = model.predict_classes(X)
        expected = model.predict(X, verbose=0).argmax(-1)
        np.testing.assert_array_equal(classes, expected)

    def test_dropout_is_off(self, eager):
        model = Sequential([layers.Input((4,)), layers.Dropout(0.9)])
        np.testing.assert_allclose(model.predict(X, verbose=0), X.astype("f4"))


class TestData:
    @pytest.mark.parametrize(
        "convert",
        [
            lambda a: a.astype("float32"),
            lambda a: a.tolist(),
            lambda a: np.asfortranarray(a),
            lambda a: np.repeat(a, 2, axis=0)[::2],
            lambda a: a[::-1][::-1],
            lambda a: [a],
            lambda a: {"x": a},
            lambda a: ops.convert_to_tensor(a),
        ],
    )
    def test_forms_of_x_give_the_same_training(self, eager, convert):
        start = mlp().get_weights()

        def run(x):
            model = regression(eager)
            model.set_weights(start)
            model.fit(x, Y, 8, epochs=2, shuffle=False, verbose=0)
            return model.get_weights()

        for a, b in zip(run(X), run(convert(X)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)

    @pytest.mark.parametrize("dtype", ["uint8", "int64", "int32", "bool"])
    def test_integers(self, eager, dtype):
        x = RNG.integers(0, 2, (12, 4)).astype(dtype)
        start = mlp().get_weights()

        def run(x):
            model = regression(eager)
            model.set_weights(start)
            return model.fit(x, Y[:12], 5, shuffle=False, verbose=0).history["loss"]

        np.testing.assert_allclose(run(x), run(x.astype("float32")), rtol=1e-5)

    def test_targets_may_be_a_column_or_not(self, eager):
        start = mlp().get_weights()

        def run(y):
            model = regression(eager)
            model.set_weights(start)
            model.fit(X, y, 8, shuffle=False, verbose=0)
            return model.get_weights()

        for a, b in zip(run(Y), run(Y[:, 0]), strict=True):
            np.testing.assert_array_equal(a, b)

    def test_arrays_are_not_changed(self, eager):
        x, y = X.copy(), Y.copy()
        regression(eager).fit(x, y, epochs=2, verbose=0)
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)

    def test_data_frames(self, eager):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X, columns=list("abcd"))
        history = regression(eager).fit(frame, pandas.Series(Y[:, 0]), verbose=0)
        assert len(history.history["loss"]) == 1
        frame["kind"] = "text"
        with pytest.raises(TypeError, match="Columns without numbers: kind"):
            regression(eager).fit(frame, Y)

    def test_a_deferred_model_is_built_by_the_data(self, eager):
        model = Sequential([layers.Dense(2, activation="relu"), layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=eager)
        model.fit(X, Y, verbose=0)
        assert model.input_shape == (None, 4) and model.count_params() == 13

    def test_a_deferred_model_takes_what_its_layers_take(self, eager):
        """Axes seen with other sizes are open, also while shapes are inferred."""
        stack = Sequential(
            [layers.Conv1D(3, 2), layers.GlobalMaxPooling1D(), layers.Dense(1)]
        )
        assert stack(np.zeros((2, 5, 4))).shape == (2, 1)
        assert stack.input_shape == (None, 5, 4)
        assert stack(np.zeros((2, 9, 4))).shape == (2, 1)
        assert stack.input_shape == (None, None, 4)
        assert stack.inputs[0].shape == (None, None, 4)
        with pytest.raises(ValueError, match="size 4"):
            stack(np.zeros((2, 9, 5)))

        class Block(layers.Layer):
            def __init__(self):
                super().__init__()
                self.inside = Sequential([layers.Dense(8), layers.Dense(6)])

            def call(self, inputs):
                return inputs + self.inside(inputs)

        tokens = Input((None,), dtype="int32")
        z = Block()(layers.Embedding(9, 6)(tokens))
        assert z.shape == (None, None, 6)
        model = Model(tokens, layers.Dense(1)(layers.GlobalAveragePooling1D()(z)))
        model.compile("sgd", "mse", run_eagerly=eager)
        for steps in (3, 7):
            x = np.arange(4 * steps).reshape(4, steps) % 9
            assert model.predict(x, verbose=0).shape == (4, 1)
            model.fit(x, np.zeros((4, 1)), verbose=0)


def test_weights_of_classes_do_not_count_in_validation(eager):
    start = classifier(eager).get_weights()

    def run(**kwargs):
        model = classifier(eager)
        model.set_weights(start)
        history = model.fit(X, LABELS, 8, shuffle=False, verbose=0, **kwargs)
        return history.history

    weights = {0: 5.0, 1: 0.1, 2: 3.0}
    cut = int(len(X) * 0.75)
    split = run(class_weight=weights, validation_split=0.25)
    given = run(validation_split=0.25, sample_weight=np.vectorize(weights.get)(LABELS))
    assert split["loss"] == given["loss"] and split["val_loss"] != given["val_loss"]
    model = classifier(eager)
    model.set_weights(start)
    model.fit(X[:cut], LABELS[:cut], 8, shuffle=False, verbose=0, class_weight=weights)
    expected = model.evaluate(X[cut:], LABELS[cut:], verbose=0)[0]
    np.testing.assert_allclose(split["val_loss"], [expected], rtol=1e-5)
