# SPDX-License-Identifier: Apache-2.0
"""MNIST with fewer numbers: a forest before and after PCA, and maps of the digits.

    python examples/digits_reduced.py [--data mnist folder] [--output out/reduced]

scikit-learn's estimators on fastnn's data: PCA keeps 95 % of the variance in 154 of 784
numbers, which makes a random forest slower, not faster, and worse. Then 2,000 digits in
two dimensions by PCA, LLE, MDS and t-SNE. (Exercises 8.9 and 8.10 of A. Géron's book.)
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.manifold import MDS, TSNE, LocallyLinearEmbedding

import fastnn as keras

MAPS = {
    "PCA": PCA(2),
    "LLE": LocallyLinearEmbedding(n_neighbors=10, eigen_solver="dense"),
    "MDS": MDS(n_init=1, max_iter=100),
    "t-SNE": TSNE(),
}


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Accuracy of the forest with all numbers, and with those of PCA."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST; see load_data")
    parser.add_argument("--output", type=Path, default=Path("out/reduced"))
    parser.add_argument("--points", type=int, default=2000, help="of the maps")
    args = parser.parse_args(arguments)
    args.output.mkdir(parents=True, exist_ok=True)

    keras.utils.set_random_seed(42)
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data(args.data)
    x, x_test = (a.reshape(len(a), -1) / np.float32(255) for a in (x, x_test))
    pca = PCA(0.95).fit(x)
    print(f"95 % of the variance: {pca.n_components_} of {x.shape[1]} numbers")
    found = {}
    for name, change in {"784 numbers": np.asarray, "PCA": pca.transform}.items():
        forest = RandomForestClassifier(n_jobs=-1, random_state=42)
        start = time.perf_counter()
        forest.fit(change(x), y)
        seconds = time.perf_counter() - start
        found[name] = forest.score(change(x_test), y_test)
        print(f"{name}: {found[name]:.4f} after {seconds:.1f} s")
    draw(x[: args.points], y[: args.points], args.output / "maps.png")
    return found


def draw(x: np.ndarray, y: np.ndarray, path: Path) -> None:
    """The digits in two dimensions, a colour for each class."""
    try:
        from matplotlib import pyplot as plt
    except ImportError as missing:
        print(missing)
        return
    figure, grid = plt.subplots(2, 2, figsize=(9, 9), layout="constrained")
    for axes, (name, change) in zip(grid.flat, MAPS.items(), strict=True):
        start = time.perf_counter()
        points = change.fit_transform(x)
        shown = axes.scatter(*points.T, c=y, cmap="tab10", s=8)
        title = f"{name}, {time.perf_counter() - start:.1f} s"
        axes.set(title=title, xticks=[], yticks=[])
    figure.legend(*shown.legend_elements(), loc="outside right center")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
