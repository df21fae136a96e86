# SPDX-License-Identifier: Apache-2.0
"""Five layers of 100 on digits 0 to 4: tuned by folds, then normalized, then dropped.

    python examples/digits_tuned.py [--data mnist folder] [--output out/tuned]

Three folds of a part of the data choose rate and batch size; the network then learns
from all of it plainly, with batch normalization, and with dropout. The picture shows
how fast each learns. (Exercise 11.8 of A. Géron's book; digits_transfer.py goes on
from here.)
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

import fastnn as keras

RATES, BATCHES, FOLDS = (3e-4, 1e-3, 3e-3), (32, 128), 3
# Title -> batch normalization, share that is dropped.
NETWORKS = {"plain": (False, 0.0), "normalized": (True, 0.0), "dropout": (False, 0.1)}


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Accuracy of each kind of network on the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST; see load_data")
    parser.add_argument("--output", type=Path, default=Path("out/tuned"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--units", type=int, default=100)
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(42)
    train, test = keras.datasets.mnist.load_data(args.data)
    (x, y), (x_test, y_test) = (
        (x[y < 5].reshape((y < 5).sum(), -1).astype("float32") / 255, y[y < 5])
        for x, y in (train, test)
    )
    some = len(x) // 5
    rate, batch = search(x[:some], y[:some], args.units)
    print(f"chosen: rate {rate}, batches of {batch}")

    found, curves = {}, {}
    for title, (normalized, dropped) in NETWORKS.items():
        model = network(x.shape[1], args.units, rate, normalized, dropped)
        best = args.output / f"{title}.keras"
        callbacks = [
            keras.callbacks.EarlyStopping(patience=10, restore_best_weights=True),
            keras.callbacks.ModelCheckpoint(best, save_best_only=True),
        ]
        options = {"batch_size": batch, "epochs": args.epochs, "verbose": 0}
        history = model.fit(x, y, validation_split=0.1, callbacks=callbacks, **options)
        curves[title] = history.history["val_loss"]
        # What was written is what was the best.
        saved = keras.models.load_model(best)
        found[title] = saved.evaluate(x_test, y_test, verbose=0)[1]
        report(title, found[title], curves)
    draw(curves, args.output / "curves.png")
    return found


def network(inputs: int, units: int, rate: float, normalized=False, dropped=0.0):
    """Five hidden layers, ELU with He initialization, and five classes; compiled."""
    model = keras.Sequential([keras.Input((inputs,))])
    for _ in range(5):
        model.add(keras.layers.Dense(units, kernel_initializer="he_normal"))
        if normalized:
            model.add(keras.layers.BatchNormalization())
        model.add(keras.layers.Activation("elu"))
        if dropped:
            model.add(keras.layers.Dropout(dropped))
    model.add(keras.layers.Dense(5, activation="softmax"))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    return model


def search(x: np.ndarray, y: np.ndarray, units: int) -> tuple[float, int]:
    """Rate and batch size with the least mean loss over the folds."""
    folds = np.array_split(np.random.default_rng(0).permutation(len(x)), FOLDS)
    losses = {}
    for rate, batch in itertools.product(RATES, BATCHES):
        held = []
        for fold in folds:
            rest = np.setdiff1d(np.arange(len(x)), fold)
            model = network(x.shape[1], units, rate)
            model.fit(x[rest], y[rest], batch_size=batch, epochs=5, verbose=0)
            held.append(model.evaluate(x[fold], y[fold], verbose=0)[0])
        losses[rate, batch] = float(np.mean(held))
        print(f"rate {rate}, batches of {batch}: {losses[rate, batch]:.4f}")
    return min(losses, key=losses.get)


def report(title: str, accuracy: float, curves: dict[str, list[float]]) -> None:
    """One line; how soon the plain network's best loss was reached."""
    goal = min(curves["plain"])
    below = np.flatnonzero(np.array(curves[title]) <= goal)
    when = f"in epoch {below[0] + 1}" if len(below) else "never"
    print(f"{title:11} accuracy {accuracy:.4f}, loss {goal:.4f} reached {when}")


def draw(curves: dict[str, list[float]], path: Path) -> None:
    """Validation loss by epoch; without matplotlib, nothing."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as missing:
        print(missing)
        return
    figure, axes = plt.subplots(layout="constrained")
    for title, curve in curves.items():
        axes.plot(range(1, len(curve) + 1), curve, label=title)
    axes.set(xlabel="epoch", ylabel="validation loss", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
