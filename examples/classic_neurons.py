# SPDX-License-Identifier: Apache-2.0
"""The first artificial neurons and the lines they draw.

    python examples/classic_neurons.py [--output out/classic]

Logic of McCulloch and Pitts, the Perceptron and ADALINE on the same two kinds of iris,
with one flower mislabelled, and MADALINE on XOR. Needs scikit-learn and matplotlib.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from fastnn.classic import Adaline, Madaline, Perceptron, logic_net, truth_table


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Draws the boundaries; returns the accuracy of each neuron."""
    plt.switch_backend("agg")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("out/classic"))
    args = parser.parse_args(arguments)

    for name in ("and", "or", "and not", "xor"):
        print(f"{name:8}", *truth_table(logic_net(name))[:, -1])

    x, y = load_iris(return_X_y=True)
    x = StandardScaler().fit_transform(x[:, (2, 3)])  # length and width of petals
    y = (y == 0).astype(int)
    noisy = y.copy()
    noisy[98] = 1  # a versicolor that somebody took for a setosa
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
    xor = np.array([0, 1, 1, 0])

    panels = {
        "Perceptron": (Perceptron(random_state=0), x, y),
        "ADALINE": (Adaline(0.001), x, y),
        "Perceptron, one wrong": (Perceptron(max_iter=100, random_state=0), x, noisy),
        "ADALINE, one wrong": (Adaline(0.001), x, noisy),
        "MADALINE, XOR": (Madaline(2, "or", random_state=0), corners, xor),
    }
    figure, grid = plt.subplots(1, len(panels), figsize=(4 * len(panels), 4))
    scores = {}
    for axes, (name, (neuron, points, classes)) in zip(
        grid, panels.items(), strict=True
    ):
        neuron.fit(points, classes)
        scores[name] = neuron.score(points, classes)
        draw(axes, neuron, points, classes)
        axes.set_title(f"{name}: {scores[name]:.3f}")
        print(f"{name}: accuracy {scores[name]:.3f} after {neuron.n_iter_} passes")
    args.output.mkdir(parents=True, exist_ok=True)
    figure.tight_layout()
    figure.savefig(args.output / "boundaries.png")
    return scores


def draw(axes, neuron, points, classes) -> None:
    """The points, and the regions that the neuron gives to each class."""
    low, high = points.min(0) - 0.5, points.max(0) + 0.5
    across, up = np.meshgrid(
        *(np.linspace(a, b, 200) for a, b in zip(low, high, strict=True))
    )
    region = neuron.predict(np.column_stack([across.ravel(), up.ravel()]))
    axes.contourf(across, up, region.reshape(across.shape), alpha=0.3, levels=1)
    axes.scatter(*points.T, c=classes, edgecolors="k")


if __name__ == "__main__":
    main()
