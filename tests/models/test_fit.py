# SPDX-License-Identifier: Apache-2.0
"""fit, evaluate and predict, eagerly and on native plans, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import callbacks as cb
from fastnn import config, layers, metrics, ops
from fastnn.autodiff.grad import GradientTape
from fastnn.models import Model, Sequential
from fastnn.optimizers import SGD
from fastnn.seeds import set_random_seed

RNG = np.random.default_rng(0)
X = RNG.normal(size=(22, 4))
Y = RNG.normal(size=(22, 1))
LABELS = RNG.integers(0, 3, 22)


@pytest.fixture(params=[False, True], ids=["native", "eager"])
def eager(request):
    return request.param


@pytest.fixture
def float64():
    config.set_floatx("float64")
    yield
    config.set_floatx("float32")


class Oracle:
    """4 - 5 relu - outputs, by hand: softmax cross-entropy or mean squared error."""

    def __init__(self, weights, rate=0.1):
        self.w = [w.astype("float64") for w in weights]
        self.rate = rate

    def forward(self, x):
        k1, b1, k2, b2 = self.w
        hidden = np.maximum(x @ k1 + b1, 0)
        return hidden, hidden @ k2 + b2

    def probabilities(self, x):
        z = self.forward(x)[1]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def losses(self, x, y):
        """One value per instance."""
        if y.dtype.kind == "i":
            return -np.log(self.probabilities(x)[np.arange(len(y)), y])
        return ((self.forward(x)[1] - y) ** 2).mean(axis=1)

    def step(self, x, y, weights=None):
        """One SGD step; returns the loss before it."""
        weights = np.ones(len(x)) if weights is None else weights
        values = self.losses(x, y)
        hidden, outputs = self.forward(x)
        if y.dtype.kind == "i":
            dz = self.probabilities(x) - np.eye(outputs.shape[1])[y]
        else:
            dz = 2 * (outputs - y) / outputs.shape[1]
        dz = dz * weights[:, None] / len(x)
        dh = dz @ self.w[2].T * (hidden > 0)
        gradients = [x.T @ dh, dh.sum(0), hidden.T @ dz, dz.sum(0)]
        self.w = [w - self.rate * g for w, g in zip(self.w, gradients, strict=True)]
        return (values * weights).sum() / len(x)

    def epoch(self, x, y, batch, weights=None):
        """One epoch in order; returns the running mean of the loss."""
        total = 0.0
        for i in range(0, len(x), batch):
            part = slice(i, i + batch)
            w = None if weights is None else weights[part]
            total += self.step(x[part], y[part], w) * len(x[part])
        return total / len(x)


def mlp(outputs=1, activation=None, **kwargs):
    return Sequential(
        [
            layers.Input((4,)),
            layers.Dense(5, activation="relu"),
            layers.Dense(outputs, activation=activation),
        ],
        **kwargs,
    )


def regression(eager, **options):
    model = mlp()
    model.compile(SGD(0.1), "mse", run_eagerly=eager, **options)
    return model


def classifier(eager, **options):
    model = mlp(3, "softmax")
    options.setdefault("metrics", ["accuracy"])
    model.compile(
        SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=eager, **options
    )
    return model


def assert_weights(model, oracle, rtol=1e-9):
    for got, expected in zip(model.get_weights(), oracle.w, strict=True):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=1e-12)


@pytest.mark.usefixtures("float64")
class TestAgainstNumPy:
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

    def test_class_weights(self, eager):
        model = classifier(eager)
        oracle = Oracle(model.get_weights())
        table = {0: 2.0, 2: 0.5}
        model.fit(X, LABELS, 8, class_weight=table, shuffle=False, verbose=0)
        oracle.epoch(X, LABELS, 8, np.array([table.get(c, 1.0) for c in LABELS]))
        assert_weights(model, oracle, 1e-6)

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
        second = model.train_on_batch(X[8:], Y[8:])  # metrics run on
        expected = (8 * first + 14 * oracle.step(X[8:], Y[8:])) / 22
        np.testing.assert_allclose(second, expected, rtol=1e-9)
        model.reset_metrics()
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
    def test_names_epochs_and_params(self, eager):
        model = classifier(eager)
        history = model.fit(X, LABELS, 8, epochs=3, validation_split=0.2, verbose=0)
        assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
        assert all(len(values) == 3 for values in history.history.values())
        assert all(isinstance(v, float) for v in history.history["loss"])
        assert history.epoch == [0, 1, 2]
        assert history.params == {"verbose": 0, "epochs": 3, "steps": 3}
        assert model.history is history

    def test_defaults(self, eager):
        history = regression(eager).fit(X, Y, verbose=0)
        assert history.epoch == [0] and history.params["steps"] == 1  # 22 / 32

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


class TestCallbacks:
    def recorder(self):
        calls = []

        class Recorder(cb.Callback):
            pass

        for hook in [name for name in dir(cb.Callback) if name.startswith("on_")]:
            if hook in ("on_batch_begin", "on_batch_end"):
                continue

            def record(self, *args, _hook=hook, **kwargs):
                calls.append((_hook, *[a for a in args if isinstance(a, int)]))

            setattr(Recorder, hook, record)
        return Recorder(), calls

    def test_order_of_hooks(self, eager):
        recorder, calls = self.recorder()
        regression(eager).fit(
            X[:8],
            Y[:8],
            4,
            verbose=0,
            callbacks=[recorder],
            validation_data=(X[:4], Y[:4]),
        )
        assert calls == [
            ("on_train_begin",),
            ("on_epoch_begin", 0),
            ("on_train_batch_begin", 0),
            ("on_train_batch_end", 0),
            ("on_train_batch_begin", 1),
            ("on_train_batch_end", 1),
            ("on_test_begin",),
            ("on_test_batch_begin", 0),
            ("on_test_batch_end", 0),
            ("on_test_end",),
            ("on_epoch_end", 0),
            ("on_train_end",),
        ]

    def test_hooks_of_evaluate_predict_and_streams(self, eager):
        model = regression(eager)
        recorder, calls = self.recorder()
        model.evaluate(X, Y, 16, verbose=0, callbacks=[recorder])
        kinds = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end"]
        assert [c[0] for c in calls] == [*kinds, *kinds[1:], "on_test_end"]
        recorder, calls = self.recorder()
        model.predict(X, 16, verbose=0, callbacks=[recorder])
        kinds = ["on_predict_begin", "on_predict_batch_begin", "on_predict_batch_end"]
        assert [c[0] for c in calls] == [*kinds, *kinds[1:], "on_predict_end"]
        recorder, calls = self.recorder()
        model.fit(iter([(X, Y)] * 2), verbose=0, callbacks=[recorder])
        assert [c for c in calls if "batch" in c[0]] == [
            ("on_train_batch_begin", 0),
            ("on_train_batch_end", 0),
            ("on_train_batch_begin", 1),
            ("on_train_batch_end", 1),
        ]

    @pytest.mark.parametrize("stream", [False, True])
    def test_stop_training_in_a_batch(self, eager, stream):
        class Stop(cb.Callback):
            seen = 0

            def on_train_batch_end(self, batch, logs=None):
                self.seen += 1
                self.model.stop_training = batch == 1

        stop, model = Stop(), regression(eager)
        x = iter([(X[:2], Y[:2])] * 99) if stream else X
        history = model.fit(
            x, None if stream else Y, 2, epochs=4, verbose=0, callbacks=[stop]
        )
        assert stop.seen == 2 and history.epoch == [0]
        assert int(model.optimizer.iterations) == 2
        model.fit(X, Y, 22, epochs=2, verbose=0)  # the next fit starts afresh
        assert int(model.optimizer.iterations) == 4

    def test_early_stopping_restores(self, eager):
        model = mlp()
        model.compile(SGD(1e3), "mse", run_eagerly=eager)  # diverges
        before = model.get_weights()
        stopper = cb.EarlyStopping("loss", patience=1, restore_best_weights=True)
        with np.errstate(all="ignore"):
            history = model.fit(X * 10, Y, 8, epochs=9, verbose=0, callbacks=[stopper])
        assert len(history.epoch) < 9
        assert stopper.best_epoch == 0 and before[0].shape == (4, 5)

    def test_best_weights_come_back_after_a_keyboard_interrupt(self, eager):
        model = regression(eager)
        kept = {}

        class Interrupt(cb.Callback):
            def on_epoch_end(self, epoch, logs=None):
                kept.setdefault("best", self.model.get_weights())
                if epoch == 2:
                    raise KeyboardInterrupt

        worse = cb.LambdaCallback(
            on_epoch_end=lambda epoch, logs: logs.update(score=float(epoch))
        )
        stopper = cb.EarlyStopping(
            "score", patience=9, mode="min", restore_best_weights=True
        )
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, Y, 8, 9, verbose=0, callbacks=[worse, stopper, Interrupt()])
        np.testing.assert_array_equal(model.get_weights()[0], kept["best"][0])

    def test_learning_rate_callbacks_reach_the_steps(self, eager):
        model = regression(eager)
        before = model.get_weights()
        zero = cb.LearningRateScheduler(lambda epoch, lr: 0.0)
        history = model.fit(X, Y, 8, epochs=2, verbose=0, callbacks=[zero])
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert history.history["learning_rate"] == [0.0, 0.0]
        back = cb.LearningRateScheduler(lambda epoch, lr: 0.1)
        model.fit(X, Y, 8, verbose=0, callbacks=[back])
        assert (model.get_weights()[0] != before[0]).any()

    def test_weights_set_in_a_callback_are_used(self, eager):
        model = regression(eager)
        zeros = [np.zeros(w.shape) for w in model.get_weights()]
        reset = cb.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: model.set_weights(zeros)
        )
        model.fit(X, Y, 22, epochs=3, verbose=0, callbacks=[reset])
        # One step from zero only moves the last bias: the hidden layer is dead.
        expected = 0.1 * 2 * Y.mean()
        np.testing.assert_allclose(model.get_weights()[3], [expected], rtol=1e-5)


class TestPrinted:
    def test_one_line_per_epoch_without_a_terminal(self, eager, capsys):
        model = classifier(eager)
        model.fit(X, LABELS, 8, epochs=2, validation_split=0.2)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("Epoch 1/2 - 3/3 - ")
        names = [part.split(":")[0] for part in lines[1].split(" - ")[4:]]
        assert names == ["accuracy", "loss", "val_accuracy", "val_loss"]
        model.evaluate(X, LABELS)
        model.predict(X)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split(" - ")[0] for line in lines] == ["1/1", "1/1"]
        assert "accuracy: " in lines[0] and "loss" not in lines[1]

    def test_silence(self, eager, capsys):
        model = regression(eager)
        model.fit(X, Y, verbose=0)
        model.evaluate(X, Y, verbose=0)
        model.predict(X, verbose=0)
        assert capsys.readouterr().out == ""


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
        runner = model._runner
        model.layers[0].trainable = True
        model.layers[0].trainable = False  # as a GAN loop does: no new plans
        model.train_on_batch(X, Y)
        assert model._runner is runner

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

    def test_python_that_cannot_be_planned_runs_eagerly_with_a_warning(self):
        class Branching(layers.Layer):
            def call(self, inputs):
                return inputs if float(ops.sum(inputs)) > 1e9 else inputs * 2.0

        model = Sequential([layers.Input((4,)), Branching(), layers.Dense(1)])
        model.compile("sgd", "mse")
        with pytest.warns(UserWarning, match=r"runs eagerly.*test_fit.py:\d+"):
            history = model.fit(X, Y, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2
