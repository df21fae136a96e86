# SPDX-License-Identifier: Apache-2.0
"""Train an MLP on handwritten digits; show accuracy and speed, keep curves and weights.

    python examples/mnist_mlp.py [--data FOLDER] [--output FOLDER]

Takes MNIST from `--data`, from the cache of `fastnn.datasets`, or from a folder
`shared/data/mnist` beside this checkout; without any of them the 8x8 digits that
scikit-learn ships. It never downloads: `fastnn.datasets.mnist.load_data()` does.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

import fastnn as keras

SIDE_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mnist"
CLASSES = 10

Splits = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def load_digits(folder: Path | None) -> tuple[str, Splits]:
    """Name of the data found, and `(x_train, y_train), (x_test, y_test)`."""
    mnist = keras.datasets.mnist
    if folder is not None:
        return f"MNIST from {folder}", mnist.load_data(folder)
    try:
        return "MNIST from the cache", mnist.load_data(download=False)
    except OSError:
        if SIDE_DATA.is_dir():
            return f"MNIST from {SIDE_DATA}", mnist.load_data(SIDE_DATA)
    return "the digits of scikit-learn (no MNIST here)", small_digits()


def small_digits() -> Splits:
    """1,797 digits of 8x8 grey values 0..16, scaled to 0..255; a fifth for the test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = (x[order] / 16 * 255).astype(np.uint8), y[order].astype(np.uint8)
    cut = len(x) * 4 // 5
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def prepare(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of grey values in 0..1 as float32, and one-hot labels."""
    rows = x.reshape(len(x), -1).astype(np.float32) / 255
    return rows, np.eye(CLASSES, dtype=np.float32)[y]


def build(features: int, hidden: int) -> keras.Sequential:
    model = keras.Sequential(
        [
            keras.Input((features,)),
            keras.layers.Dense(hidden, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.RMSprop(),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def save_curves(history: dict[str, list[float]], path: Path) -> None:
    """Loss and accuracy per epoch as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")  # no display needed
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    epochs = range(1, len(history["loss"]) + 1)
    for axis, name in zip(axes, ("loss", "accuracy"), strict=True):
        axis.plot(epochs, history[name], "o-", label="training")
        axis.plot(epochs, history[f"val_{name}"], "s-", label="validation")
        axis.set(xlabel="epoch", ylabel=name, xticks=list(epochs))
        axis.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def save_weights(weights: list[np.ndarray], path: Path) -> None:
    """Writes `weight_0`, `weight_1`, ...: whole, or not at all under that name."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("wb") as stream:
        named = {f"weight_{i}": weight for i, weight in enumerate(weights)}
        np.savez(stream, **named)
    part.replace(path)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with the MNIST IDX files")
    parser.add_argument("--output", type=Path, default=Path("out/demo"))
    parser.add_argument("--epochs", type=int, help="default 5; 30 for the small digits")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=784)
    parser.add_argument("--samples", type=int, help="train on the first rows only")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> float:
    """Trains, reports, writes; returns the accuracy on the test part."""
    args = parse_arguments(arguments)
    keras.utils.set_random_seed(args.seed)
    name, (train, test) = load_digits(args.data)
    x, y = prepare(*train)
    x, y = x[: args.samples], y[: args.samples]
    x_test, y_test = prepare(*test)
    epochs = args.epochs or (5 if len(x) > 10_000 else 30)
    # The last tenth shows how the training generalises; the test part stays unseen.
    kept = len(x) - len(x) // 10
    print(f"{name}: {kept} training, {len(x) - kept} validation, {len(x_test)} test")

    model = build(x.shape[1], args.hidden)
    model.summary()
    start = time.perf_counter()
    fitted = model.fit(
        x[:kept],
        y[:kept],
        batch_size=args.batch,
        epochs=epochs,
        validation_data=(x[kept:], y[kept:]),
    )
    seconds = time.perf_counter() - start
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)

    args.output.mkdir(parents=True, exist_ok=True)
    save_curves(fitted.history, args.output / "learning_curves.png")
    save_weights(model.get_weights(), args.output / "weights.npz")
    print(f"test accuracy: {accuracy:.4f} (loss {loss:.4f})")
    print(
        f"training speed: {kept * epochs / seconds:,.0f} samples per second "
        "(validation time included)"
    )
    print(f"curves and weights: {args.output}")
    return float(accuracy)


if __name__ == "__main__":
    main()
