# SPDX-License-Identifier: Apache-2.0
"""The same digit or not? A network that compares pairs, and what it teaches another.

    python examples/digit_pairs.py [--data mnist folder] [--steps 4000]

Two networks, one for each picture of a pair, meet in a small layer that says whether
the pictures differ. Half of a generator's pairs are of one class. Then the first
network, frozen, gets a softmax and 500 pictures of each class, beside a network that
begins from nothing. (Exercise 11.10 of A. Géron's book.)
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fastnn as keras

CLASSES = 10
Pairs = Iterator[tuple[tuple[np.ndarray, np.ndarray], np.ndarray]]


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Accuracy on pairs, and of both classifiers, on the test part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST; see load_data")
    parser.add_argument("--steps", type=int, default=4000, help="batches of pairs")
    parser.add_argument("--epochs", type=int, default=40, help="of the classifiers")
    parser.add_argument("--few", type=int, default=500, help="pictures of a class")
    args = parser.parse_args(arguments)

    keras.utils.set_random_seed(42)
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data(args.data)
    x, x_test = (a.reshape(len(a), -1).astype("float32") / 255 for a in (x, x_test))
    few = np.concatenate([np.flatnonzero(y == c)[: args.few] for c in range(CLASSES)])
    few = np.random.default_rng(0).permutation(few)
    many = np.setdiff1d(np.arange(len(x)), few)
    found = {}

    first, second = (hidden(x.shape[1], name) for name in ("first", "second"))
    both = keras.layers.concatenate([first.output, second.output])
    both = keras.layers.Dense(10, activation="elu")(both)
    differ = keras.layers.Dense(1, activation="sigmoid", name="differ")(both)
    compare = keras.Model([first.input, second.input], differ)
    compare.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    compare.fit(
        pairs(x[many], y[many], seed=1), epochs=1, steps_per_epoch=args.steps, verbose=2
    )
    result = compare.evaluate(pairs(x_test, y_test, seed=2), steps=100, verbose=0)
    found["pairs"] = result[1]

    first.trainable = False
    networks = {"reused": first, "from scratch": hidden(x.shape[1], "scratch")}
    for name, layers in networks.items():
        output = keras.layers.Dense(CLASSES, activation="softmax")
        model = keras.Sequential([layers, output])
        loss = "sparse_categorical_crossentropy"
        model.compile("adam", loss, metrics=["accuracy"])
        model.fit(x[few], y[few], epochs=args.epochs, verbose=0)
        found[name] = model.evaluate(x_test, y_test, verbose=0)[1]
    for name, accuracy in found.items():
        print(f"{name}: {accuracy:.4f}")
    return found


def hidden(inputs: int, name: str):
    """Five layers of 100, ELU with He initialization."""
    dense = keras.layers.Dense
    options = {"activation": "elu", "kernel_initializer": "he_normal"}
    layers = [dense(100, **options) for _ in range(5)]
    return keras.Sequential([keras.Input((inputs,)), *layers], name=name)


def pairs(x: np.ndarray, y: np.ndarray, seed: int, batch: int = 64) -> Pairs:
    """Without end: two pictures each, and 1 where their classes differ, else 0."""
    draw = np.random.default_rng(seed)
    order, counts = np.argsort(y, kind="stable"), np.bincount(y, minlength=CLASSES)
    starts = np.cumsum(counts) - counts  # of each class in the order
    differ = np.arange(batch) % 2
    while True:
        one = draw.integers(0, CLASSES, batch)
        other = (one + differ * draw.integers(1, CLASSES, batch)) % CLASSES
        first, second = (
            order[starts[c] + draw.integers(0, counts[c])] for c in (one, other)
        )
        yield (x[first], x[second]), differ[:, None].astype("float32")


if __name__ == "__main__":
    main()
