# SPDX-License-Identifier: Apache-2.0
"""Training that ends by an error: callbacks end too, and the model can go on."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import Input, Sequential, layers, optimizers
from fastnn import callbacks as cb

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype("float32")
Y = (X @ np.array([1.0, -2.0, 0.5, 3.0], "float32"))[:, None]
HOOKS = """on_train_begin on_epoch_begin on_train_batch_begin on_train_batch_end
    on_test_begin on_test_batch_begin on_test_batch_end on_test_end on_epoch_end
    on_train_end""".split()


class Oops(Exception):
    pass


def model(run_eagerly=False, rate=0.05):
    made = Sequential([Input((4,)), layers.Dense(3), layers.Dense(1)])
    made.compile(optimizers.SGD(rate), "mse", run_eagerly=run_eagerly)
    return made


def raising(hook: str, after: int = 0) -> cb.Callback:
    calls = []

    def function(*args):
        calls.append(hook)
        if len(calls) > after:
            raise Oops(hook)

    return cb.LambdaCallback(**{hook: function})


def fit(m, callbacks=(), epochs=2, **kwargs):
    options = {"validation_data": (X, Y), "verbose": 0, "shuffle": False}
    return m.fit(X, Y, 8, epochs, callbacks=[*callbacks], **options, **kwargs)


@pytest.mark.parametrize("eager", [False, True], ids=["native", "eager"])
@pytest.mark.parametrize("hook", HOOKS)
def test_the_model_is_as_good_as_new(hook, eager) -> None:
    broken, fresh = model(eager), model(eager)
    with pytest.raises(Oops, match=hook):
        fit(broken, [raising(hook)])
    fresh.set_weights(broken.get_weights())
    np.testing.assert_array_equal(
        broken.predict(X, verbose=0), fresh.predict(X, verbose=0)
    )
    assert broken.evaluate(X, Y, verbose=0) == fresh.evaluate(X, Y, verbose=0)
    assert fit(broken).history == fit(fresh).history


@pytest.mark.parametrize("hook", ["on_predict_begin", "on_predict_batch_end"])
def test_predict_can_be_asked_again(hook) -> None:
    asked = model()
    want = asked.predict(X, verbose=0)
    with pytest.raises(Oops):
        asked.predict(X, verbose=0, callbacks=[raising(hook)])
    np.testing.assert_array_equal(asked.predict(X, verbose=0), want)


@pytest.mark.filterwarnings("ignore:.*loss is NaN")
@pytest.mark.parametrize("error", [Oops, KeyboardInterrupt])
def test_the_best_weights_come_back(error) -> None:
    best = []

    def after_epoch(epoch, logs):
        if epoch == 0:
            best.extend(trained.get_weights())
        trained.optimizer.learning_rate = 1.0  # from here on it gets worse
        if epoch == 2:
            raise error

    trained = model()
    stopping = cb.EarlyStopping(patience=9, restore_best_weights=True)
    with pytest.raises(error):
        fit(trained, [stopping, cb.LambdaCallback(on_epoch_end=after_epoch)], 9)
    assert stopping.best_epoch == 0
    for a, b in zip(trained.get_weights(), best, strict=True):
        np.testing.assert_array_equal(a, b)


def test_files_are_closed_and_the_first_error_is_the_one_seen(tmp_path) -> None:
    log = cb.CSVLogger(tmp_path / "log.csv")
    bad = [raising("on_epoch_end", 1), raising("on_train_end")]
    with (
        pytest.raises(Oops, match="on_epoch_end"),
        pytest.warns(UserWarning, match=r"on_train_end of LambdaCallback failed.*Oops"),
    ):
        fit(model(), [log, *bad], 5)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert log._file is None or log._file.closed


def test_data_that_fails_ends_callbacks_too() -> None:
    ended = []

    def batches():
        yield X[:8], Y[:8]
        raise Oops

    watch = cb.LambdaCallback(on_train_end=lambda logs: ended.append(logs))
    trained = model()
    with pytest.raises(Oops):
        trained.fit(batches(), steps_per_epoch=3, verbose=0, callbacks=[watch])
    assert len(ended) == 1
    fit(trained)
