# SPDX-License-Identifier: Apache-2.0
"""Numbers that books print for models of their readers: counts, losses by spread.

The seven runs on California housing (11610 rows to train, 3870 to validate) were made
by TensorFlow 2.0 with a random split; each is repeated here with five seeds, for split
and weights. A printed number must lie within their range, widened by its width.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fastnn import keras

L = keras.layers
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data here")
SEEDS = range(5)


@cache
def houses() -> tuple[np.ndarray, np.ndarray]:
    (x, y), (x_test, y_test) = keras.datasets.california_housing.load_data(
        path=DATA / "california_housing.csv.gz"
    )
    return np.concatenate([x, x_test]), np.concatenate([y, y_test])[:, None]


def split(seed: int) -> list[np.ndarray]:
    """x, y of 11610 rows and of 3870, standardized by the former."""
    x, y = houses()
    order = np.random.default_rng(seed).permutation(len(x))
    rows, held = order[:11610], order[11610:15480]
    mean, deviation = x[rows].mean(0), x[rows].std(0)
    x = ((x - mean) / deviation).astype("float32")
    return [x[rows], y[rows].astype("float32"), x[held], y[held].astype("float32")]


def dense(units: int, x, name: str | None = None, activation: str | None = "relu"):
    return L.Dense(units, activation=activation, name=name)(x)


def plain():
    parts = [keras.Input((8,)), L.Dense(30, activation="relu")]
    parts += [L.Dense(100, activation="relu"), L.Dense(1, activation="relu")]
    return keras.Sequential(parts)


def wide_and_deep():
    x = keras.Input((8,))
    hidden = dense(100, dense(30, x))
    return keras.Model(x, dense(1, L.concatenate([x, hidden])))


def two_inputs(outputs: int = 1):
    wide, deep = keras.Input((5,), name="wide"), keras.Input((6,), name="deep")
    hidden = dense(100, dense(30, deep))
    main = dense(1, L.concatenate([wide, hidden]), "output", None)
    aux = [dense(1, hidden, "aux_output", None)] * (outputs - 1)
    return keras.Model([wide, deep], [main, *aux] if aux else main)


class WideAndDeep(keras.Model):
    def __init__(self, units: int = 30, activation: str = "relu", **kwargs) -> None:
        super().__init__(**kwargs)
        self.hidden1 = L.Dense(units, activation=activation)
        self.hidden2 = L.Dense(units, activation=activation)
        self.main = L.Dense(1)
        self.aux = L.Dense(1)

    def call(self, inputs):
        wide, deep = inputs
        hidden = self.hidden2(self.hidden1(deep))
        return self.main(L.concatenate([wide, hidden])), self.aux(hidden)


def columns(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """5 wide and 6 deep columns."""
    return a[:, :5], a[:, 2:]


def train(model, seed: int, outputs=1, parts=False, rate=0.01, **kwargs):
    """The history of a run."""
    x, y, x_val, y_val = split(seed)
    if parts:
        x, x_val = columns(x), columns(x_val)
    loss, weights = ("mse", None) if outputs == 1 else (["mse"] * 2, [0.9, 0.1])
    model.compile(keras.optimizers.SGD(rate), loss, loss_weights=weights)
    targets, held = ((y,) * outputs, (y_val,) * outputs) if outputs > 1 else (y, y_val)
    options = {"epochs": 20, "validation_data": (x_val, held), "verbose": 0} | kwargs
    return model.fit(x, targets, **options).history


# Run, its options, and the values of the last epoch that are printed.
RUNS = {
    "sequential": (plain, {}, {"loss": 0.3309, "val_loss": 0.3592}),
    "wide and deep": (wide_and_deep, {}, {"loss": 0.3410, "val_loss": 0.3771}),
    "two inputs": (
        two_inputs,
        {"parts": True, "rate": 1e-3},
        {"loss": 0.4642, "val_loss": 0.4800},
    ),
    "two outputs": (
        lambda: two_inputs(2),
        {"outputs": 2, "parts": True},
        {"loss": 0.3525, "output_loss": 0.3392, "aux_output_loss": 0.4734},
    ),
    "subclass": (
        WideAndDeep,
        {"outputs": 2, "parts": True},
        {"loss": 0.3761, "val_loss": 0.3962},
    ),
}


@real
@pytest.mark.parametrize("name", RUNS)
def test_losses_of_the_last_epoch(name) -> None:
    make, options, printed = RUNS[name]
    found = []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        found.append(train(make(), seed, **options))
    for key, value in printed.items():
        last = np.array([history[key][-1] for history in found])
        last = last[last < 1]  # a relu at the end may be dead from the start
        width = np.ptp(last)
        assert len(last) >= 3
        assert last.min() - width <= value <= last.max() + width, (key, last)


@real
def test_a_new_model_of_the_same_layers_goes_on() -> None:
    keras.utils.set_random_seed(1)
    model = wide_and_deep()
    first = train(model, 1)
    again = train(keras.Model(model.inputs, model.outputs), 1)
    assert again["loss"][0] < 1.1 * first["loss"][-1] < first["loss"][0]
    assert again["loss"][-1] < first["loss"][-1]


@real
def test_early_stopping_gives_the_best_epoch() -> None:
    """Printed: stopped after epoch 40, val_loss 0.3436 from there."""
    stopping = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    keras.utils.set_random_seed(0)
    model = two_inputs(2)
    options = {"outputs": 2, "parts": True, "epochs": 100, "callbacks": [stopping]}
    curve = train(model, 0, **options)["val_loss"]
    assert len(curve) < 100 and len(curve) == stopping.best_epoch + 6
    _, _, x, y = split(0)
    loss = model.evaluate(columns(x), (y, y), verbose=0)[0]
    assert loss == pytest.approx(min(curve), rel=1e-5)
    assert 0.28 < loss < 0.40


COUNTS = [
    (plain, 3471),
    (wide_and_deep, 3479),
    (two_inputs, 3416),
    (lambda: two_inputs(2), 3517),
    (lambda: mlp(784, [300, 100, 10]), 266_610),
    (lambda: mlp(784, [784, 10]), 623_290),
    (lambda: mlp(784, [500] * 4 + [10]), 1_149_010),
    (lambda: strided(), 903_400),
]


def mlp(inputs: int, units: list[int]):
    return keras.Sequential([keras.Input((inputs,)), *(L.Dense(n) for n in units)])


def strided():
    layers = [L.Conv2D(n, 3, strides=2, padding="SAME") for n in (100, 200, 400)]
    return keras.Sequential([keras.Input((200, 300, 3)), *layers])


@pytest.mark.parametrize(("make", "count"), COUNTS)
def test_numbers_of_parameters(make, count) -> None:
    assert make().count_params() == count


def test_parameters_of_a_subclass() -> None:
    model = WideAndDeep()
    model((np.zeros((2, 5), "float32"), np.zeros((2, 6), "float32")))
    assert model.count_params() == 1207


def test_parameters_of_batch_normalization() -> None:
    parts = [keras.Input((28, 28)), L.Flatten(), L.BatchNormalization()]
    for units in (300, 100):
        parts += [L.Dense(units, activation="elu"), L.BatchNormalization()]
    model = keras.Sequential([*parts, L.Dense(10, activation="softmax")])
    frozen = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    assert (model.count_params(), frozen) == (271_346, 2_368)


@pytest.mark.parametrize(
    ("option", "wanted"),
    [("clipvalue", [0.9, 1.0]), ("clipnorm", [0.00899964, 0.9999595])],
)
def test_clipping(option, wanted) -> None:
    weight = keras.Variable(np.zeros(2, "float32"))
    optimizer = keras.optimizers.SGD(1.0, **{option: 1.0})
    gradient = keras.ops.convert_to_tensor(np.array([0.9, 100.0], "float32"))
    optimizer.apply_gradients([(gradient, weight)])
    np.testing.assert_allclose(-np.asarray(weight), wanted, rtol=1e-5)


def test_momentums_terminal_velocity() -> None:
    """10 * rate * gradient with momentum 0.9."""
    weight = keras.Variable(np.float32(0.0))
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    gradient = keras.ops.convert_to_tensor(np.float32(3.0))
    for _ in range(200):
        before = float(weight)
        optimizer.apply_gradients([(gradient, weight)])
    assert before - float(weight) == pytest.approx(10 * 0.01 * 3.0, rel=1e-4)
