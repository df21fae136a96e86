# SPDX-License-Identifier: Apache-2.0
"""Numbers that books print for models of their readers: counts, losses by spread.

The seven runs on California housing (11610 rows to train, 3870 to validate, 5160 to
test; N30 to N37 below) were made by TensorFlow 2.0 with a random split; each
is repeated here with five seeds, for split and weights. A printed number must lie
within their range, widened by its width. `pytest -rP` shows both.
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
    """x, y of 11610, 3870 and 5160 rows, standardized by the first."""
    x, y = houses()
    order = np.random.default_rng(seed).permutation(len(x))
    parts = np.split(order, [11610, 15480])
    mean, deviation = x[parts[0]].mean(0), x[parts[0]].std(0)
    x, y = ((x - mean) / deviation).astype("float32"), y.astype("float32")
    return [a[rows] for rows in parts for a in (x, y)]


def dense(units: int, x, name: str | None = None, activation: str | None = "relu"):
    return L.Dense(units, activation=activation, name=name)(x)


def plain():
    parts = [keras.Input((8,)), L.Dense(30, activation="relu")]
    parts += [L.Dense(100, activation="relu"), L.Dense(1, activation="relu")]
    return keras.Sequential(parts)


def wide_and_deep():
    x = keras.Input((8,))
    hidden = dense(100, dense(30, x))
    return keras.Model(x, dense(1, L.concatenate([x, hidden]), "output"))


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
    """The history of a run, and "test": the loss on the last rows."""
    x, y, x_val, y_val, x_test, y_test = split(seed)
    if parts:
        x, x_val, x_test = (columns(a) for a in (x, x_val, x_test))
    loss, weights = ("mse", None) if outputs == 1 else (["mse"] * 2, [0.9, 0.1])
    model.compile(keras.optimizers.SGD(rate), loss, loss_weights=weights)
    targets, held = ((y,) * outputs, (y_val,) * outputs) if outputs > 1 else (y, y_val)
    options = {"epochs": 20, "validation_data": (x_val, held), "verbose": 0} | kwargs
    history = model.fit(x, targets, **options).history
    if outputs == 1:
        history["test"] = [model.evaluate(x_test, y_test, verbose=0)]
    return history


# Run, its options, and the values of the last epoch that are printed.
RUNS = {
    "N30 sequential": (
        plain,
        {},
        {"loss": 0.3309, "val_loss": 0.3592, "test": 0.3401941142571989},
    ),
    "N31 wide and deep": (
        wide_and_deep,
        {},
        {"loss": 0.3410, "val_loss": 0.3771, "test": 0.3660215558931809},
    ),
    "N32 two inputs": (
        two_inputs,
        {"parts": True, "rate": 1e-3},
        {"loss": 0.4642, "val_loss": 0.4800, "test": 0.49082014066304347},
    ),
    "N33 two outputs": (
        lambda: two_inputs(2),
        {"outputs": 2, "parts": True},
        {"loss": 0.3525, "output_loss": 0.3392, "aux_output_loss": 0.4734}
        | {"val_loss": 0.3690, "val_output_loss": 0.3541}
        | {"val_aux_output_loss": 0.5036},
    ),
    "N34 subclass": (
        WideAndDeep,
        {"outputs": 2, "parts": True},
        # Printed as output_1_loss and output_2_loss; named as Keras 3 does here.
        {"loss": 0.3761, "mse_loss": 0.3596, "mse_loss_1": 0.5248}
        | {"val_loss": 0.3962, "val_mse_loss": 0.3790, "val_mse_loss_1": 0.5510},
    ),
    "N35 functional": (wide_and_deep, {}, {"loss": 0.3383, "val_loss": 0.3690}),
}


@pytest.mark.feature("1A-15", "1B-16", "1B-20")
@real
@pytest.mark.parametrize("name", RUNS)
def test_losses_of_the_last_epoch(name) -> None:
    make, options, printed = RUNS[name]
    found = []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        found.append(train(make(), seed, **options))
    for key, value in printed.items():
        check(f"{name}, {key}", value, [history[key][-1] for history in found])


def check(what: str, printed: float, found: list[float]) -> None:
    """Whether a printed loss lies within those of the seeds, widened."""
    # A relu at the end may be dead from the start: all such losses are above 1.
    alive = np.array([loss for loss in found if loss < 1])
    print(f"{what}: {printed:.4f}, here {alive.min():.4f} to {alive.max():.4f}")
    width = np.ptp(alive)
    assert len(alive) >= 3
    assert alive.min() - width <= printed <= alive.max() + width, (what, found)


@real
def test_n36_a_new_model_of_the_same_layers_goes_on() -> None:
    """Its last val_loss, 0.3841 after 0.3294, is a jump and the largest of the run."""
    starts, ends, largest, best = [], [], [], []
    for seed in SEEDS:
        keras.utils.set_random_seed(seed)
        model = wide_and_deep()
        first = train(model, seed)
        again = train(keras.Model(model.inputs, model.outputs), seed)
        if first["loss"][-1] > 1:  # the relu at the end is dead
            continue
        assert again["loss"][0] < 1.1 * first["loss"][-1] < first["loss"][0]
        assert again["loss"][-1] < first["loss"][-1]
        starts.append(again["loss"][0])
        ends.append(again["loss"][-1])
        largest.append(max(again["val_loss"]))
        best.append(min(again["val_loss"]))
    check("N36, loss of the first epoch", 0.3366, starts)
    check("N36, loss of the last epoch", 0.2946, ends)
    check("N36, largest val_loss", 0.3841, largest)
    check("N36, best val_loss", 0.3287, best)


@real
def test_n37_early_stopping_by_five_seeds() -> None:
    """Printed: stopped after 40 of 100 epochs; the best was epoch 35."""
    epochs, losses, best = [], [], []
    for seed in SEEDS:
        stopping = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
        keras.utils.set_random_seed(seed)
        options = {"outputs": 2, "parts": True, "epochs": 100, "callbacks": [stopping]}
        history = train(two_inputs(2), seed, **options)
        epochs.append(len(history["loss"]))
        losses.append(history["loss"][-1])
        best.append(min(history["val_loss"]))
    width = max(epochs) - min(epochs)
    print(f"N37, epochs: 40, here {min(epochs)} to {max(epochs)}")
    assert min(epochs) - width <= 40 <= max(epochs) + width
    check("N37, loss of the last epoch", 0.3256, losses)
    check("N37, best val_loss", 0.3436, best)


@real
def test_n37_early_stopping_gives_the_best_epoch() -> None:
    stopping = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    keras.utils.set_random_seed(0)
    model = two_inputs(2)
    options = {"outputs": 2, "parts": True, "epochs": 100, "callbacks": [stopping]}
    curve = train(model, 0, **options)["val_loss"]
    assert len(curve) < 100 and len(curve) == stopping.best_epoch + 6
    _, _, x, y, _, _ = split(0)
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
