# SPDX-License-Identifier: Apache-2.0
"""What files of models keep and what not, for both whole formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastnn import keras, tf
from fastnn.errors import ModelFileError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((64, 6)).astype("float32")
Y = RNG.standard_normal((64, 1)).astype("float32")
pytestmark = pytest.mark.parametrize("ending", [".keras", ".h5"])


def huber_fn(y_true: Any, y_pred: Any) -> Any:
    error = y_true - y_pred
    small = tf.abs(error) < 1.0
    return tf.where(small, tf.square(error) / 2.0, tf.abs(error) - 0.5)


def create_huber(threshold: float) -> Any:
    def huber_fn(y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        small = tf.abs(error) < threshold
        linear = threshold * tf.abs(error) - threshold**2 / 2
        return tf.where(small, tf.square(error) / 2.0, linear)

    return huber_fn


class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return create_huber(self.threshold)(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


def trained(loss: Any = "mse", optimizer: Any = "nadam", **options: Any) -> Any:
    layers = [keras.layers.Dense(5, activation="selu"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((6,)), *layers])
    model.compile(loss=loss, optimizer=optimizer)
    model.fit(X, Y, epochs=2, batch_size=16, verbose=0, **options)
    return model


@pytest.fixture
def path(ending: str, tmp_path: Path) -> Path:
    return tmp_path / f"model{ending}"


def test_everything_is_in_the_file(path: Path) -> None:
    """68, 74: architecture, weights, optimizer with its state and rate; training goes
    on as it would have."""
    model = trained(optimizer=keras.optimizers.RMSprop(0.02, rho=0.8, momentum=0.5))
    model.save(path)
    again = keras.models.load_model(path)
    assert again.get_config() == model.get_config()
    assert isinstance(again.optimizer, keras.optimizers.RMSprop)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    for one in (model, again):
        one.fit(X, Y, epochs=1, batch_size=16, shuffle=False, verbose=0)
    for mine, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_functions_are_saved_by_their_own_name(path: Path) -> None:
    """70: loading needs the function, under `huber_fn`, not `create_huber`."""
    model = trained(create_huber(2.0))
    model.save(path)
    for wrong in (None, {"create_huber": create_huber(2.0)}):
        with pytest.raises((ModelFileError, ValueError), match="huber_fn"):
            keras.models.load_model(path, custom_objects=wrong)
    given = {"huber_fn": create_huber(2.0)}
    again = keras.models.load_model(path, custom_objects=given)
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_what_a_closure_holds_is_not_saved(path: Path) -> None:
    """71: another threshold is taken without a word; a class keeps its own."""
    trained(create_huber(0.1)).save(path)
    functions = [{"huber_fn": create_huber(t)} for t in (0.1, 5.0)]
    found = [keras.models.load_model(path, custom_objects=f) for f in functions]
    assert len({one.evaluate(X, Y, verbose=0) for one in found}) == 2
    model = trained(HuberLoss(0.1))
    model.save(path)
    again = keras.models.load_model(path, custom_objects={"HuberLoss": HuberLoss})
    assert again.loss.threshold == 0.1
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)


def test_schedules_go_on_and_epochs_begin_anew(path: Path) -> None:
    """72: the optimizer counts its steps on; `fit` counts epochs from 0, unless
    `initial_epoch` says otherwise."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 4, 0.5)
    model = trained(optimizer=keras.optimizers.SGD(schedule))
    model.save(path)
    again = keras.models.load_model(path)
    assert int(again.optimizer.iterations) == 8
    assert float(again.optimizer.learning_rate) == pytest.approx(0.1 * 0.5**2)
    seen: list[int] = []

    def note(epoch: int) -> float:
        seen.append(epoch)
        return 0.01

    model = trained("mse", "sgd")
    model.save(path)
    again = keras.models.load_model(path)
    by_epoch = keras.callbacks.LearningRateScheduler(note)
    again.fit(X, Y, epochs=1, verbose=0, callbacks=[by_epoch])
    again.fit(X, Y, initial_epoch=2, epochs=4, verbose=0, callbacks=[by_epoch])
    assert seen == [0, 2, 3]


def test_clones_have_new_weights(path: Path) -> None:
    """73: `clone_model` copies the architecture only, also of a loaded model."""
    model = trained()
    model.save(path)
    again = keras.models.load_model(path)
    clone = keras.models.clone_model(again)
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    assert not np.array_equal(clone.get_weights()[0], again.get_weights()[0])
    clone.set_weights(again.get_weights())
    np.testing.assert_array_equal(
        clone.predict(X, verbose=0), model.predict(X, verbose=0)
    )


def test_subclassed_models_are_saved_as_weights(path: Path) -> None:
    """69: as a whole only with `get_config`, where arguments are no plain values."""

    class Own(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self, make: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.hidden = make()

        def call(self, x: Any) -> Any:
            return self.hidden(x)

    model, other = (Own(lambda: keras.layers.Dense(3)) for _ in range(2))
    for one in (model, other):
        one(X)
    with pytest.raises(NotImplementedError, match="get_config"):
        model.save(path)
    assert not path.exists()
    weights = path.with_suffix(".weights.h5")
    model.save_weights(weights)
    other.load_weights(weights)
    np.testing.assert_array_equal(model(X).numpy(), other(X).numpy())
