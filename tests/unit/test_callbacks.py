# SPDX-License-Identifier: Apache-2.0
"""Callbacks, driven by hand: no model runs here."""

from __future__ import annotations

import math
import types

import numpy as np
import pytest

from fastnn import callbacks as cb


class FakeModel:
    def __init__(self, rate=0.1):
        self.stop_training = False
        self.history = None
        self.metrics = []
        self.weights = [np.zeros(2)]
        self.optimizer = types.SimpleNamespace(learning_rate=rate)

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def train(model, callback, values, name="val_loss"):
    """Epochs whose logged value is given; epoch i leaves weights full of i."""
    callbacks = cb.CallbackList([callback], add_history=True, model=model)
    callbacks.on_train_begin()
    ran, logs = 0, {}
    for epoch, value in enumerate(values):
        callbacks.on_epoch_begin(epoch)
        model.weights = [np.full(2, float(epoch))]
        logs = {"loss": 1.0, name: value}
        callbacks.on_epoch_end(epoch, logs)
        ran += 1
        if model.stop_training:
            break
    callbacks.on_train_end(logs)
    return ran


class TestCallbackList:
    def test_hooks_are_called_in_order_of_the_list(self):
        calls = []
        first, second = (
            cb.LambdaCallback(on_epoch_end=lambda e, logs, n=n: calls.append((n, e)))
            for n in "ab"
        )
        cb.CallbackList([first, second]).on_epoch_end(3)
        assert calls == [("a", 3), ("b", 3)]

    def test_logs_are_shared_so_that_callbacks_can_add_to_them(self):
        history = cb.History()
        adds = cb.LambdaCallback(on_epoch_end=lambda e, logs: logs.update(extra=7.0))
        callbacks = cb.CallbackList([adds, history], model=FakeModel())
        callbacks.on_train_begin()
        callbacks.on_epoch_end(0, {"loss": 1.0})
        assert history.history == {"loss": [1.0], "extra": [7.0]}

    def test_batch_hooks_are_only_wanted_when_overridden(self):
        class OnEpoch(cb.Callback):
            def on_epoch_end(self, epoch, logs=None):
                pass

        class OnBatch(cb.Callback):
            def on_train_batch_end(self, batch, logs=None):
                pass

        class OnOldBatch(cb.Callback):
            def on_batch_begin(self, batch, logs=None):
                pass

        class OnTestBatch(cb.Callback):
            def on_test_batch_end(self, batch, logs=None):
                pass

        quiet = cb.CallbackList([OnEpoch()], add_history=True, add_progbar=True)
        assert not quiet.has_batch_hooks and quiet.has_throttled_hooks
        assert cb.CallbackList([OnBatch()]).has_batch_hooks
        assert cb.CallbackList([OnOldBatch()]).has_batch_hooks
        only_test = cb.CallbackList([OnTestBatch()])
        assert only_test.has_test_batch_hooks and not only_test.has_batch_hooks
        on_instance = cb.LambdaCallback(on_train_batch_end=lambda b, logs: None)
        assert cb.CallbackList([on_instance]).has_batch_hooks

    def test_old_names_of_batch_hooks_are_called(self):
        seen = []

        class Old(cb.Callback):
            def on_batch_end(self, batch, logs=None):
                seen.append(batch)

        cb.CallbackList([Old()]).on_batch("train", "end", 4, {})
        assert seen == [4]

    def test_a_subclass_without_super_init_works(self):
        class Bare(cb.Callback):
            def __init__(self):
                self.epochs = 0

            def on_epoch_end(self, epoch, logs=None):
                self.epochs += 1

        bare, model = Bare(), FakeModel()
        cb.CallbackList([bare], model=model, epochs=1).on_epoch_end(0)
        assert bare.epochs == 1 and bare.model is model
        assert bare.params == {"epochs": 1}

    def test_what_is_no_callback_is_refused(self):
        with pytest.raises(TypeError, match=r"Make an instance: EarlyStopping\(\)"):
            cb.CallbackList([cb.EarlyStopping])
        with pytest.raises(TypeError, match="received 3"):
            cb.CallbackList([3])

    def test_append(self):
        model, added = FakeModel(), cb.Callback()
        callbacks = cb.CallbackList(model=model, epochs=2)
        callbacks.append(added)
        assert added.model is model and added.params == {"epochs": 2}


class TestHistory:
    @pytest.mark.feature("4D-52")
    def test_it_records_and_becomes_the_models_history(self):
        model = FakeModel()
        train(model, cb.Callback(), [0.5, 0.25])
        assert model.history.epoch == [0, 1]
        assert model.history.history == {"loss": [1.0, 1.0], "val_loss": [0.5, 0.25]}

    def test_a_value_missing_in_some_epochs_is_only_listed_where_it_was(self):
        history = cb.History()
        callbacks = cb.CallbackList([history], model=FakeModel())
        callbacks.on_epoch_end(0, {"loss": 1.0})
        callbacks.on_epoch_end(1, {"loss": 0.5, "val_loss": 2.0})
        assert history.history == {"loss": [1.0, 0.5], "val_loss": [2.0]}


class TestEarlyStopping:
    def test_stops_after_patience_epochs_without_progress(self):
        # Best epoch 35 (index), patience 5: the run of the spec stops after epoch 40.
        values = [1.0 - 0.01 * i for i in range(36)] + [2.0] * 60
        stopper = cb.EarlyStopping(patience=5)
        assert train(FakeModel(), stopper, values) == 41
        assert (stopper.best_epoch, stopper.stopped_epoch) == (35, 40)

    def test_any_progress_starts_the_count_again(self):
        values = [5, 6, 4, 6, 6, 3, 9, 9, 9]
        assert train(FakeModel(), cb.EarlyStopping(patience=3), values) == 9

    def test_min_delta(self):
        values = [1.0, 0.95, 0.91, 0.5]
        stopper = cb.EarlyStopping(min_delta=0.2, patience=2)
        assert train(FakeModel(), stopper, values) == 3

    @pytest.mark.feature("1B-24", "4E-62")
    @pytest.mark.parametrize("restore", [True, False])
    def test_best_weights(self, restore):
        model = FakeModel()
        stopper = cb.EarlyStopping(patience=2, restore_best_weights=restore)
        train(model, stopper, [3, 1, 2, 2, 2])
        assert model.weights[0][0] == (1.0 if restore else 3.0)

    def test_best_weights_come_back_when_training_ends_by_itself(self):
        model = FakeModel()
        train(model, cb.EarlyStopping(patience=9, restore_best_weights=True), [3, 1, 2])
        assert model.weights[0][0] == 1.0

    @pytest.mark.parametrize(
        ("monitor", "mode"),
        [("val_accuracy", "max"), ("acc", "max"), ("val_loss", "min"), ("mae", "min")],
    )
    def test_mode_follows_from_the_name(self, monitor, mode):
        stopper = cb.EarlyStopping(monitor)
        assert stopper.mode == mode
        assert bool(stopper.monitor_op(1.0, 2.0)) == (mode == "min")

    def test_mode_follows_from_the_metric_itself(self):
        metric = types.SimpleNamespace(name="gain", _direction="up")
        model = FakeModel()
        model.metrics = [metric]
        stopper = cb.EarlyStopping("val_gain", patience=1)
        assert stopper.monitor_op is None  # not known yet
        assert train(model, stopper, [1, 2, 3, 2, 9], "val_gain") == 4

    @pytest.mark.parametrize("monitor", ["nope", "val_brier_score"])
    def test_a_direction_that_nobody_knows_is_not_guessed(self, monitor):
        with pytest.raises(ValueError, match=r'give mode="max" or mode="min"'):
            train(FakeModel(), cb.EarlyStopping(monitor), [1.0], monitor)
        best = cb.EarlyStopping(monitor, mode="min", patience=1)
        assert train(FakeModel(), best, [3, 2, 2, 1], monitor) == 3

    def test_baseline(self):
        values = [0.9, 0.8, 0.8, 0.7]  # progress that does not beat 0.5 does not count
        assert train(FakeModel(), cb.EarlyStopping(patience=2), values) == 4
        stopper = cb.EarlyStopping(baseline=0.5, patience=2)
        assert train(FakeModel(), stopper, values) == 3

    def test_start_from_epoch(self):
        stopper = cb.EarlyStopping(patience=1, start_from_epoch=3)
        assert train(FakeModel(), stopper, [1, 2, 2, 2, 2, 2]) == 5

    def test_a_missing_monitor_warns_and_names_what_there_is(self):
        with pytest.warns(UserWarning, match=r"'val_loss' is not among.*\(loss, other"):
            train(FakeModel(), cb.EarlyStopping(), [1.0], "other")

    def test_unknown_mode(self):
        with pytest.raises(ValueError, match="'auto', 'min' or 'max', received 'up'"):
            cb.EarlyStopping(mode="up")

    def test_a_second_run_starts_afresh(self):
        stopper = cb.EarlyStopping(patience=1)
        assert train(FakeModel(), stopper, [1, 2, 2]) == 2
        assert train(FakeModel(), stopper, [5, 4, 3]) == 3


class TestLearningRate:
    def rates(self, callback, epochs=3, **logs):
        model = FakeModel(rate=1.0)
        callbacks = cb.CallbackList([callback], add_history=True, model=model)
        callbacks.on_train_begin()
        found = []
        for epoch in range(epochs):
            callbacks.on_epoch_begin(epoch)
            found.append(model.optimizer.learning_rate)
            values = {name: series[epoch] for name, series in logs.items()}
            callbacks.on_epoch_end(epoch, values)
        return found, model

    @pytest.mark.feature("1C-35", "4E-64")
    def test_scheduler_of_epoch_and_rate(self):
        rates, model = self.rates(cb.LearningRateScheduler(lambda epoch, lr: lr * 0.5))
        assert rates == [0.5, 0.25, 0.125]
        assert model.history.history["learning_rate"] == [0.5, 0.25, 0.125]

    @pytest.mark.feature("1C-37")
    def test_scheduler_of_the_epoch_alone(self):
        rates, _ = self.rates(cb.LearningRateScheduler(lambda epoch: 0.1 * (epoch + 1)))
        np.testing.assert_allclose(rates, [0.1, 0.2, 0.3])

    def test_scheduler_must_return_a_number(self):
        with pytest.raises(ValueError, match="must return a number, it returned None"):
            self.rates(cb.LearningRateScheduler(lambda epoch: None))

    @pytest.mark.feature("1C-38", "4E-65")
    def test_plateau_reduces_after_patience_epochs(self):
        values = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9]
        plateau = cb.ReduceLROnPlateau(factor=0.1, patience=2)
        rates, model = self.rates(plateau, 6, val_loss=values)
        np.testing.assert_allclose(rates, [1, 1, 1, 1, 0.1, 0.1])
        np.testing.assert_allclose(model.optimizer.learning_rate, 0.01)

    def test_plateau_cools_down_and_stops_at_min_lr(self):
        plateau = cb.ReduceLROnPlateau(factor=0.1, patience=1, cooldown=2, min_lr=0.05)
        rates, _ = self.rates(plateau, 7, val_loss=[1.0] * 7)
        np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.05, 0.05, 0.05])

    def test_plateau_needs_a_factor_below_one(self):
        with pytest.raises(ValueError, match="factor must be between 0 and 1"):
            cb.ReduceLROnPlateau(factor=1.0)


class TestTerminateOnNaN:
    @pytest.mark.parametrize("loss", [math.nan, math.inf])
    def test_it_stops_in_the_batch(self, loss, capsys):
        model = FakeModel()
        callbacks = cb.CallbackList([cb.TerminateOnNaN()], model=model)
        assert callbacks.has_batch_hooks
        callbacks.on_batch("train", "end", 0, {"loss": 1.0})
        assert not model.stop_training
        callbacks.on_batch("train", "end", 1, {"loss": loss})
        assert model.stop_training
        assert "Batch 1: Invalid loss" in capsys.readouterr().out

    def test_it_can_raise(self):
        callbacks = cb.CallbackList([cb.TerminateOnNaN(raise_error=True)])
        with pytest.raises(RuntimeError, match="Batch 2: Invalid loss"):
            callbacks.on_batch("train", "end", 2, {"loss": math.nan})


class TestCSVLogger:
    def test_one_row_per_epoch(self, tmp_path):
        path = tmp_path / "log.csv"
        train(FakeModel(), cb.CSVLogger(path), [0.5, 0.25])
        assert path.read_text().splitlines() == [
            "epoch,loss,val_loss",
            "0,1.0,0.5",
            "1,1.0,0.25",
        ]

    def test_append_writes_no_second_header(self, tmp_path):
        path = tmp_path / "log.csv"
        train(FakeModel(), cb.CSVLogger(path, separator=";"), [0.5])
        train(FakeModel(), cb.CSVLogger(path, separator=";", append=True), [0.25])
        assert path.read_text().splitlines() == [
            "epoch;loss;val_loss",
            "0;1.0;0.5",
            "0;1.0;0.25",
        ]

    def test_values_with_separators_are_quoted_and_missing_ones_are_na(self, tmp_path):
        path = tmp_path / "log.csv"
        logger = cb.CSVLogger(path)
        logger.on_train_begin()
        logger.on_epoch_end(0, {"note": 'a,"b"', "loss": 1.0})
        logger.on_epoch_end(1, {"loss": 2.0})
        logger.on_train_end()
        assert path.read_text().splitlines() == [
            "epoch,loss,note",
            '0,1.0,"a,""b"""',
            "1,2.0,NA",
        ]

    def test_each_row_is_on_disk_when_its_epoch_ends(self, tmp_path):
        path = tmp_path / "log.csv"
        logger = cb.CSVLogger(path)
        logger.on_train_begin()
        logger.on_epoch_end(0, {"loss": 1.0})
        assert path.read_text() == "epoch,loss\n0,1.0\n"
        logger.on_train_end()


class TestLambdaCallback:
    def test_unknown_hooks_are_refused(self):
        with pytest.raises(ValueError, match="no hook called 'on_lunch'"):
            cb.LambdaCallback(on_lunch=print)

    def test_none_keeps_the_empty_hook(self):
        cb.CallbackList([cb.LambdaCallback(on_epoch_end=None)]).on_epoch_end(0)
