# SPDX-License-Identifier: Apache-2.0
"""TensorFlow's Playground as a script: what small networks can and cannot separate.

    python examples/playground.py [--output out/playground] [--epochs 100]

Points in two dimensions and two classes; the networks of a textbook's exercise, each
from several random starts, since a small network may end in a local minimum. The
picture shows where the middle one draws its boundary, and how many starts reached 95 %.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import fastnn as keras

# Title -> data, hidden layers, activation.
NETWORKS = {
    "4 + 2 tanh": ("circle", [4, 2], "tanh"),
    "4 + 2 relu": ("circle", [4, 2], "relu"),
    "3 relu: local minima": ("circle", [3], "relu"),
    "2 relu: too few": ("circle", [2], "relu"),
    "8 relu": ("circle", [8], "relu"),
    "spiral, 4 x 8 relu": ("spiral", [8] * 4, "relu"),
}


def circle(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A disc inside a ring."""
    y = np.arange(count) % 2
    radius = np.where(y, draw.uniform(0, 0.5, count), draw.uniform(0.7, 1.0, count))
    angle = draw.uniform(0, 2 * np.pi, count)
    return _points(radius, angle), y


def spiral(count: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two arms that turn around each other."""
    y = np.arange(count) % 2
    along = draw.uniform(0.05, 1.0, count)
    return _points(along, 3.5 * np.pi * along / 2 + np.pi * y), y


def _points(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    xs = [radius * np.sin(angle), radius * np.cos(angle)]
    return (3 * np.stack(xs, axis=1)).astype("float32")


def train(x, y, hidden: list[int], activation: str, epochs: int):
    """A network and its accuracy."""
    layers = [keras.layers.Dense(n, activation=activation) for n in hidden]
    model = keras.Sequential(
        [keras.Input((2,)), *layers, keras.layers.Dense(1, activation="sigmoid")]
    )
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=10, epochs=epochs, verbose=0)
    return model, model.evaluate(x, y, verbose=0)[1]


def draw_boundary(axes, model, x, y, title: str) -> None:
    """What the model says everywhere, and the points."""
    side = np.linspace(-3.5, 3.5, 120, dtype="float32")
    grid = np.stack(np.meshgrid(side, side), axis=-1)
    found = model.predict(grid.reshape(-1, 2), batch_size=4096, verbose=0)
    axes.contourf(side, side, found.reshape(120, 120), 20, cmap="RdBu", vmin=0, vmax=1)
    axes.scatter(*x.T, c=y, cmap="RdBu", s=14, edgecolors="w", linewidths=0.5)
    axes.set(title=title, xticks=[], yticks=[])
    axes.set_aspect("equal")


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Trains all networks; returns the accuracies of their starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("out/playground"))
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--starts", type=int, default=5)
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)
    data = {
        make.__name__: make(400, np.random.default_rng(0)) for make in (circle, spiral)
    }
    found, shown = {}, {}
    for title, (name, hidden, activation) in NETWORKS.items():
        x, y = data[name]
        runs = []
        for seed in range(args.starts):
            keras.utils.set_random_seed(seed)
            runs.append(train(x, y, hidden, activation, args.epochs))
        runs.sort(key=lambda run: run[1])
        found[title] = [accuracy for _, accuracy in runs]
        shown[title] = runs[len(runs) // 2][0], x, y
        text = " ".join(f"{accuracy:.2f}" for accuracy in found[title])
        print(f"{title:22} {text}")
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no picture: pip install matplotlib")
        return found
    figure, axes = plt.subplots(2, 3, figsize=(10, 7), layout="constrained")
    for place, (title, parts) in zip(axes.flat, shown.items(), strict=True):
        good = sum(accuracy > 0.95 for accuracy in found[title])
        draw_boundary(place, *parts, f"{title} ({good} of {args.starts})")
    figure.savefig(args.output / "boundaries.png", dpi=100)
    return found


if __name__ == "__main__":
    main()
