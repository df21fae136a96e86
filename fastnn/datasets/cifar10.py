# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10: 60,000 small pictures of 10 classes (A. Krizhevsky 2009)."""

from __future__ import annotations

from pathlib import Path

from fastnn.datasets._cifar import Split, load_cifar
from fastnn.datasets._download import RemoteFile

__all__ = ["CLASS_NAMES", "load_data"]

CLASS_NAMES = (
    *("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship"),
    "truck",
)
FILE = RemoteFile(
    "cifar-10-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
_BATCHES = ([f"data_batch_{i}" for i in range(1, 6)], ["test_batch"])


def load_data(
    path: str | Path | None = None, *, download: bool = True
) -> tuple[Split, Split]:
    """Loads CIFAR-10; `CLASS_NAMES[label]` names a class.

    Args:
        path: the archive `cifar-10-python.tar.gz`, or a folder with what is in it;
            None: the cache, filled by a download of 170 MB when it is empty.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images uint8 of shapes
        `(50000, 32, 32, 3)` and `(10000, 32, 32, 3)` with values 0..255 (channels first
        if so configured), labels uint8 of shapes `(50000, 1)` and `(10000, 1)`.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) a file is damaged or is something else.
        FileNotFoundError: `path` lacks a file.
    """
    parts = load_cifar("cifar10", FILE, path, download, _BATCHES, "labels")
    (x_train, y_train), (x_test, y_test) = parts
    return (x_train, y_train.astype("uint8")), (x_test, y_test.astype("uint8"))
