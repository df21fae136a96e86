# SPDX-License-Identifier: Apache-2.0
"""What MNIST and Fashion-MNIST share: four IDX files, or one .npz as Keras keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets._download import RemoteFile, fetch
from fastnn.datasets._errors import DataFileError
from fastnn.datasets._idx import read_idx
from fastnn.datasets._npz import read_npz

Images = NDArray[Any]  # uint8; `x = x / 255` is no error to a type checker
Split = tuple[Images, NDArray[Any]]

# In the order x_train, y_train, x_test, y_test.
STEMS = (
    "train-images-idx3",
    "train-labels-idx1",
    "t10k-images-idx3",
    "t10k-labels-idx1",
)
_PARTS = ("x_train", "y_train", "x_test", "y_test")


def load_images(
    dataset: str,
    files: tuple[RemoteFile, ...],
    path: str | Path | None,
    download: bool,
) -> tuple[Split, Split]:
    """`(x_train, y_train), (x_test, y_test)` from the cache, the network or `path`."""
    if path is None:
        arrays = [read_idx(fetch(dataset, file, download)) for file in files]
        origin: object = f"the cached {dataset}"
    else:
        origin = path = Path(path).expanduser()
        arrays = (
            read_npz(path, _PARTS) if path.is_file() else _read_folder(dataset, path)
        )
    x_train, y_train, x_test, y_test = arrays
    train = _checked(origin, "train", x_train, y_train)
    return train, _checked(origin, "test", x_test, y_test)


def _read_folder(dataset: str, folder: Path) -> list[NDArray[np.generic]]:
    if not folder.is_dir():
        raise FileNotFoundError(
            f"[datasets.{dataset}] {folder} does not exist; expected a folder with the "
            f"files {', '.join(stem + '-ubyte' for stem in STEMS)} (plain or .gz), or "
            "an .npz file with x_train, y_train, x_test, y_test."
        )
    return [read_idx(_find(dataset, folder, stem)) for stem in STEMS]


def _find(dataset: str, folder: Path, stem: str) -> Path:
    # Some unpackers write "train-images.idx3-ubyte" for "train-images-idx3-ubyte".
    dotted = ".".join(stem.rsplit("-", 1))
    names = [f"{s}-ubyte{end}" for s in (stem, dotted) for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"[datasets.{dataset}] {folder} has none of {', '.join(names)}."
    )


def _checked(
    origin: object, part: str, x: NDArray[np.generic], y: NDArray[np.generic]
) -> Split:
    fits = x.ndim == 3 and y.ndim == 1 and len(x) == len(y)
    if not fits or x.dtype != np.uint8 or y.dtype != np.uint8:
        raise DataFileError(
            f"[datasets] the {part} part of {origin} has images {x.dtype} {x.shape} "
            f"and labels {y.dtype} {y.shape}; expected uint8 (n, height, width) and "
            "uint8 (n,)."
        )
    return x.astype(np.uint8, copy=False), y.astype(np.uint8, copy=False)
