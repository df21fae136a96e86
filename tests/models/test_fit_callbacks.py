# SPDX-License-Identifier: Apache-2.0
"""Callbacks and printed lines in fit, evaluate and predict."""

from __future__ import annotations

import numpy as np
import pytest
from training_cases import LABELS, X, Y, classifier, mlp, regression

import fastnn
from fastnn import callbacks as cb
from fastnn.optimizers import SGD


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

    @pytest.mark.feature("4E-63")
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

    @pytest.mark.filterwarnings("ignore:.*loss is NaN")
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
    def test_a_title_and_a_line_per_epoch_without_a_terminal(self, eager, capsys):
        model = classifier(eager)
        model.fit(X, LABELS, 8, epochs=2, validation_split=0.2)
        lines = capsys.readouterr().out.splitlines()
        assert lines[::2] == ["Epoch 1/2", "Epoch 2/2"] and len(lines) == 4
        assert lines[1].startswith("3/3 - ")
        names = [part.split(":")[0] for part in lines[3].split(" - ")[3:]]
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


def test_evaluate_in_a_batch_callback_does_not_disturb_the_epoch():
    """Each kind of pass has its own place in the data."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)).astype("f"), rng.normal(size=(64, 1)).astype("f")

    class Evaluating(cb.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.evaluate(x[:8], y[:8], batch_size=8, verbose=0)
            self.model.evaluate(x, y, batch_size=16, verbose=0)

    def weights(callbacks):
        fastnn.utils.set_random_seed(1)
        model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
        return model.get_weights()

    for a, b in zip(weights([]), weights([Evaluating()]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_evaluate_without_targets_says_so():
    """A loss of 0 would mislead whoever watches val_loss."""
    model = regression(False)
    x = np.zeros((8, *model.input_shape[1:]), "f")
    with pytest.raises(ValueError, match="needs targets"):
        model.evaluate(x, verbose=0)
    y = np.zeros((8, *model.output_shape[1:]), "f")
    with pytest.raises(ValueError, match="needs targets"):
        model.fit(x, y, validation_data=x, verbose=0)
