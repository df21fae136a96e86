# SPDX-License-Identifier: Apache-2.0
"""Rows of items.txt, parts 2.4, 2.5 and 2.9: calls of Keras as a user types them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import keras, tf

L = keras.layers
K = keras.backend
RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype("float32")
Y = (X[:, :1] * 2).astype("float32")
old = pytest.mark.filterwarnings("ignore:.*old (spelling|name):FutureWarning")


# -- 2.4: optimizers -------------------------------------------------------------------


def step(optimizer: Any, gradient: Any = (1.0, 1.0), steps: int = 1) -> np.ndarray:
    """Where two weights go from 0."""
    v = tf.Variable(np.zeros(2, "float32"))
    for _ in range(steps):
        optimizer.apply_gradients(zip([tf.constant(gradient)], [v], strict=True))
    return v.numpy()


OPT = keras.optimizers
STEPS = [
    (lambda: OPT.SGD(lr=0.5), 1, [-0.5, -0.5]),
    (lambda: OPT.SGD(learning_rate=0.5), 1, [-0.5, -0.5]),
    (lambda: OPT.SGD(0.5), 1, [-0.5, -0.5]),
    (lambda: OPT.SGD(), 1, [-0.01, -0.01]),
    (lambda: OPT.SGD(lr=0.5, momentum=0.9), 2, [-1.45, -1.45]),
    (lambda: OPT.SGD(lr=0.5, momentum=0.9, nesterov=True), 1, [-0.95, -0.95]),
    (lambda: OPT.SGD(lr=0.5, decay=1.0), 2, [-0.75, -0.75]),
    (lambda: OPT.RMSprop(lr=0.5, rho=0.75, epsilon=0.0), 1, [-1.0, -1.0]),
    (lambda: OPT.Adagrad(lr=0.5, initial_accumulator_value=3.0), 1, [-0.25, -0.25]),
    (lambda: OPT.Adamax(lr=0.5), 1, [-0.5, -0.5]),
    (lambda: OPT.Adam(lr=0.5, beta_1=0.9, beta_2=0.999, epsilon=None), 1, [-0.5, -0.5]),
    (lambda: OPT.Nadam(lr=0.5, beta_1=0.0), 1, [-0.5, -0.5]),
    (lambda: OPT.SGD(OPT.schedules.ExponentialDecay(0.5, 1, 0.1)), 2, [-0.55, -0.55]),
]


@old
@pytest.mark.feature("2.4-1", "2.4-2", "2.4-3", "2.4-4", "2.4-5", "2.4-6", "2.4-7")
@pytest.mark.feature("2.9-1", "2.9-2")
@pytest.mark.parametrize(("make", "steps", "found"), STEPS)
def test_updates_of_optimizers(make, steps, found) -> None:
    np.testing.assert_allclose(step(make(), steps=steps), found, rtol=1e-5)


@old
@pytest.mark.feature("2.4-1", "2.4-3", "2.4-5", "2.4-7")
def test_settings_of_optimizers() -> None:
    clipped = step(OPT.SGD(1.0, clipvalue=1.0), (0.9, 100.0))
    np.testing.assert_allclose(clipped, [-0.9, -1.0])
    clipped = step(OPT.SGD(1.0, clipnorm=1.0), (0.9, 100.0))
    np.testing.assert_allclose(clipped, [-0.00899964, -0.9999595], rtol=1e-5)
    moved = step(OPT.Ftrl(lr=0.5))
    assert (moved < 0).all()
    assert isinstance(OPT.get("nadam"), OPT.Nadam)
    optimizer = OPT.Adam(lr=0.5)
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == float(optimizer.lr) == 0.25
    K.set_value(optimizer.learning_rate, 0.125)
    assert K.get_value(optimizer.lr) == 0.125


# -- 2.5: callbacks, utils, backend, imports -------------------------------------------


STAGES = "train test predict epoch batch test_batch predict_batch".split()
HOOKS = [f"on_{stage}_{end}" for stage in STAGES for end in ("begin", "end")]


def counting(calls: dict[str, int]) -> Any:
    """A class of callbacks with all hooks, which count their calls."""

    def counted(name: str) -> Any:
        def hook(self: Any, *args: Any, **kwargs: Any) -> None:
            calls[name] = calls.get(name, 0) + 1

        return hook

    return type("Own", (keras.callbacks.Callback,), {n: counted(n) for n in HOOKS})


@pytest.mark.feature("2.5-1", "2.5-2", "2.5-3", "2.5-4", "2.5-5", "2.5-6", "2.5-7")
def test_callbacks_together(tmp_path: Path) -> None:
    calls: dict[str, int] = {}
    counter = counting(calls)
    rates: list[float] = []

    def halved(epoch: int, lr: float) -> float:
        rates.append(lr)
        return lr / 2

    c = keras.callbacks
    model = keras.Sequential([keras.Input((8,)), L.Dense(1)])
    model.compile(loss="mse", optimizer=keras.optimizers.SGD(1e-6))
    best, last = tmp_path / "best.h5", tmp_path / "last.h5"
    stop = c.EarlyStopping(patience=4, min_delta=10.0, restore_best_weights=True)
    history = model.fit(
        X,
        Y,
        epochs=10,
        batch_size=32,
        validation_data=(X, Y),
        verbose=0,
        callbacks=[
            counter(),
            c.LearningRateScheduler(lambda epoch: 0.01 if epoch == 0 else 0.005),
            c.LearningRateScheduler(halved),
            c.ReduceLROnPlateau(factor=0.5, patience=2, min_delta=10.0),
            c.ModelCheckpoint(best.as_posix(), save_best_only=True),
            c.ModelCheckpoint(str(last)),
            c.TensorBoard(tmp_path / "logs" / "run_1"),
            stop,
        ],
    )
    assert history.epoch == [0, 1, 2, 3, 4] and stop.stopped_epoch == 4
    assert history.params["epochs"] == 10 and len(history.history["val_loss"]) == 5
    assert rates == pytest.approx([0.01, 0.005, 0.005, 0.005, 0.005])
    ran = {name: calls.get(name, 0) for name in HOOKS}
    assert ran["on_batch_end"] == ran["on_test_batch_end"] == 10
    assert ran["on_test_begin"] == 5 and ran["on_train_end"] == 1
    model.predict(X, callbacks=[counter()], verbose=0)
    assert all(calls[name] for name in HOOKS)
    for path in (best, last):
        assert keras.models.load_model(path).predict(X, verbose=0).shape == (64, 1)
    logs = {p.parent.name for p in (tmp_path / "logs").rglob("events.out.tfevents.*")}
    assert logs == {"train", "validation"}


@pytest.mark.feature("2.5-8")
def test_utils(tmp_path: Path) -> None:
    one_hot = keras.utils.to_categorical([0, 2])
    np.testing.assert_array_equal(one_hot, np.eye(3, dtype="float32")[[0, 2]])
    model = keras.Sequential([keras.Input((8,)), L.Dense(1, name="last")])
    keras.utils.plot_model(model, tmp_path / "m.svg", show_shapes=True)
    assert "(None, 1)" in (tmp_path / "m.svg").read_text()


@old
@pytest.mark.feature("2.5-9", "2.9-8")
def test_the_wrapper_for_scikit_learn() -> None:
    def build_model(n_hidden: int = 1, learning_rate: float = 0.01) -> Any:
        model = keras.models.Sequential()
        options: dict[str, Any] = {"input_shape": [8]}
        for _ in range(n_hidden):
            model.add(L.Dense(5, activation="relu", **options))
            options = {}
        model.add(L.Dense(1, **options))
        model.compile(loss="mse", optimizer=keras.optimizers.SGD(learning_rate))
        return model

    regressor = keras.wrappers.scikit_learn.KerasRegressor(build_model)
    regressor.fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0)
    error = np.square(regressor.predict(X).ravel() - Y.ravel()).mean()
    assert regressor.score(X, Y) == pytest.approx(-error, rel=1e-5)


@old
@pytest.mark.feature("2.5-10", "2.9-9")
def test_the_backend() -> None:
    t = tf.constant([[1.0, 4.0], [9.0, 16.0]])
    np.testing.assert_array_equal(K.square(K.transpose(t)), np.square(t.numpy().T))
    np.testing.assert_allclose(K.exp(K.sqrt(t)), np.exp([[1, 2], [3, 4]]), rtol=1e-6)
    before = K.epsilon()
    K.set_epsilon(1e-5)
    assert K.epsilon() == 1e-5
    K.set_epsilon(before)
    model = keras.Sequential([keras.Input((8,)), L.Dropout(0.5)])
    with K.learning_phase_scope(1):
        assert K.learning_phase() == 1
        assert (model.predict(X, verbose=0) == 0).mean() > 0.3
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)


@pytest.mark.feature("2.5-11", "2.5-13")
@pytest.mark.parametrize(
    "line",
    [
        "from fastnn import keras",
        "import fastnn.keras as keras",
        "from fastnn.keras import models, layers",
        "from fastnn.keras.utils import to_categorical",
        "from fastnn.keras.datasets import mnist; mnist.load_data",
        "from fastnn.keras.datasets import fashion_mnist; fashion_mnist.load_data",
        "from fastnn.keras.layers import Dense",
        "from fastnn.keras import backend as K",
        "import fastnn.keras.backend as K",
        "from fastnn.keras.wrappers.scikit_learn import KerasRegressor",
        "from fastnn.keras.preprocessing.sequence import pad_sequences",
    ],
)
def test_styles_of_imports(line: str) -> None:
    exec(line)
