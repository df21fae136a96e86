# SPDX-License-Identifier: Apache-2.0
"""Predict house prices: regression on California housing, 8-30-1, SGD.

    python examples/california_mlp.py [--data california_housing.csv.gz]

Without `--data`, `fastnn.datasets` downloads the census file that Keras uses.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import fastnn as keras


def main(arguments: list[str] | None = None) -> float:
    """Trains and returns the mean squared error on the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="csv or npz file; see load_data")
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args(arguments)

    keras.utils.set_random_seed(42)
    # 15480 rows to fit, a quarter of them held out by fit; 5160 for the test.
    (x, y), (x_test, y_test) = keras.datasets.california_housing.load_data(
        path=args.data, test_split=0.25
    )
    x, x_test = standardize(x, x_test)
    scale = 1.0 if y.max() < 1000 else 1e5  # dollars in the census file
    y, y_test = y / scale, y_test / scale

    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            keras.layers.Dense(30, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(0.01), loss="mean_squared_error")
    model.fit(x, y, epochs=args.epochs, validation_split=0.25, verbose=2)
    error = float(model.evaluate(x_test, y_test, verbose=0))
    print(f"test MSE: {error:.4f} (100,000 dollars squared)")
    print(f"first three: predicted {model.predict(x_test[:3], verbose=0).ravel()}")
    print(f"             true      {y_test[:3]}")
    return error


def standardize(x, *others):
    """Each column of all arrays to mean 0 and deviation 1 as measured in `x`."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    return [((part - mean) / deviation).astype("float32") for part in (x, *others)]


if __name__ == "__main__":
    main()
