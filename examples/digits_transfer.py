# SPDX-License-Identifier: Apache-2.0
"""Few labels: does what a network learned from digits 0 to 4 help with 5 to 9?

    python examples/digits_transfer.py [--data mnist folder] [--epochs 10]

A deep network with He initialization and ELU learns 0 to 4; its hidden layers, frozen,
get a new output and 100 pictures of each of the other digits; then the top two thaw. A
network that begins from nothing gets the same pictures, and wins: 0.90 against 0.83 and
0.87. Five classes are too few to learn features that others need. (Exercises 11.8 and
11.9 of A. Géron's book.)
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import fastnn as keras


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Accuracy on 5 to 9, by how much of the first network is used and trained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST; see load_data")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--units", type=int, default=100)
    args = parser.parse_args(arguments)

    keras.utils.set_random_seed(42)
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data(args.data)
    x, x_test = (a.reshape(len(a), -1).astype("float32") / 255 for a in (x, x_test))
    low, low_test = y < 5, y_test < 5

    stopping = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    first = network(x.shape[1], args.units)
    train(first, x[low], y[low], args.epochs, [stopping])
    accuracy = first.evaluate(x_test[low_test], y_test[low_test], verbose=0)[1]
    print(f"0 to 4: {accuracy:.4f}")

    few = np.concatenate([np.flatnonzero(y == digit)[:100] for digit in range(5, 10)])
    few = np.random.default_rng(0).permutation(few)
    x_few, y_few = x[few], y[few] - 5
    held = x_test[~low_test], y_test[~low_test] - 5
    found = {}

    scratch = network(x.shape[1], args.units)
    train(scratch, x_few, y_few, 10 * args.epochs)
    found["from scratch"] = scratch.evaluate(*held, verbose=0)[1]

    hidden = first.layers[:-1]
    reused = keras.Sequential([keras.Input((x.shape[1],)), *hidden])
    reused.add(five_classes("digits_5_to_9"))
    for layer in hidden:
        layer.trainable = False
    start = time.perf_counter()
    train(reused, x_few, y_few, 10 * args.epochs)
    through = time.perf_counter() - start
    found["frozen"] = reused.evaluate(*held, verbose=0)[1]

    # What frozen layers say never changes: once is enough.
    start = time.perf_counter()
    frozen = keras.Sequential([keras.Input((x.shape[1],)), *hidden])
    cached = frozen.predict(x_few, verbose=0)
    output = keras.Sequential([keras.Input(cached.shape[1:]), five_classes()])
    train(output, cached, y_few, 10 * args.epochs)
    print(f"trained in {through:.2f} s, {time.perf_counter() - start:.2f} s cached")
    held_cached = frozen.predict(held[0], verbose=0)
    found["frozen, cached"] = output.evaluate(held_cached, held[1], verbose=0)[1]

    four = keras.Sequential([keras.Input((x.shape[1],)), *hidden[:-1], five_classes()])
    train(four, x_few, y_few, 10 * args.epochs)
    found["four frozen"] = four.evaluate(*held, verbose=0)[1]

    for layer in hidden[-2:]:
        layer.trainable = True
    train(reused, x_few, y_few, 5 * args.epochs, rate=5e-4)
    found["top two thawed"] = reused.evaluate(*held, verbose=0)[1]
    for name, accuracy in found.items():
        print(f"5 to 9, {name}: {accuracy:.4f}")
    return found


def network(inputs: int, units: int):
    """Five hidden layers, ELU with He initialization, and five classes."""
    dense = keras.layers.Dense
    options = {"activation": "elu", "kernel_initializer": "he_normal"}
    hidden = [dense(units, **options) for _ in range(5)]
    return keras.Sequential([keras.Input((inputs,)), *hidden, five_classes()])


def five_classes(name: str | None = None):
    return keras.layers.Dense(5, activation="softmax", name=name)


def train(model, x, y, epochs: int, callbacks=(), rate: float = 1e-3) -> None:
    """Adam; the last fifth is held out."""
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(
        x, y, epochs=epochs, validation_split=0.2, verbose=0, callbacks=[*callbacks]
    )


if __name__ == "__main__":
    main()
