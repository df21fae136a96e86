# SPDX-License-Identifier: Apache-2.0
"""California housing, step by step: a rate found, one cycle, early stopping, plots.

    python examples/california_tour.py [--data california_housing.csv.gz] [--output out]

A Wide & Deep model: a learning-rate finder says how fast to go, `OneCycle` goes so
fast, EarlyStopping ends it; learning curves, the picture of the model and TensorBoard's
files are in the output folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import fastnn as keras
from fastnn.utils import find_learning_rate, plot_model


def main(arguments: list[str] | None = None) -> float:
    """Trains and returns the mean squared error on the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="csv or npz file; see load_data")
    parser.add_argument("--output", type=Path, default=Path("out/california"))
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(42)
    (x, y), (x_test, y_test) = keras.datasets.california_housing.load_data(
        path=args.data, test_split=0.25
    )
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    x, x_test = (((a - mean) / deviation).astype("float32") for a in (x, x_test))
    scale = 1.0 if y.max() < 1000 else 1e5  # dollars in the census file
    y, y_test = y / scale, y_test / scale

    model = wide_and_deep(x.shape[1])
    plot_model(
        model, args.output / "model.svg", show_shapes=True, show_layer_names=True
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    found = find_learning_rate(model, x, y, steps=150)
    print(f"a good learning rate: {found.best:.3g}; diverges at {found.diverged}")

    steps = args.epochs * -(-int(len(x) * 0.75) // 32)
    rate = keras.optimizers.schedules.OneCycle(2 * found.best, steps)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
    history = model.fit(
        x,
        y,
        epochs=args.epochs,
        validation_split=0.25,
        verbose=2,
        callbacks=[
            keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
            keras.callbacks.TensorBoard(args.output / "logs"),
        ],
    )
    error = float(model.evaluate(x_test, y_test, verbose=0))
    print(f"test MSE: {error:.4f} (100,000 dollars squared)")
    try:
        history.plot().savefig(args.output / "curves.png")
        found.plot().savefig(args.output / "rates.png")
    except ImportError as missing:
        print(missing)
    return error


def wide_and_deep(columns: int):
    """Two hidden layers, and a short way from the input to the output."""
    x = keras.Input((columns,), name="districts")
    hidden = keras.layers.Dense(30, activation="relu")(x)
    hidden = keras.layers.Dense(30, activation="relu")(hidden)
    joined = keras.layers.concatenate([x, hidden])
    return keras.Model(x, keras.layers.Dense(1, name="value")(joined), name="wide_deep")


if __name__ == "__main__":
    main()
