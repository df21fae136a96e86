# SPDX-License-Identifier: Apache-2.0
"""CIFAR-100: 60,000 small pictures of 100 classes (A. Krizhevsky 2009)."""

from __future__ import annotations

from pathlib import Path

from fastnn.datasets._cifar import Split, load_cifar
from fastnn.datasets._download import RemoteFile

__all__ = ["load_data"]

FILE = RemoteFile(
    "cifar-100-python.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
)


def load_data(
    label_mode: str = "fine", path: str | Path | None = None, *, download: bool = True
) -> tuple[Split, Split]:
    """Loads CIFAR-100.

    Args:
        label_mode: "fine" for 100 classes, "coarse" for 20 groups of them.
        path: the archive `cifar-100-python.tar.gz`, or a folder with what is in it;
            None: the cache, filled by a download of 169 MB when it is empty.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images uint8 of shapes
        `(50000, 32, 32, 3)` and `(10000, 32, 32, 3)` with values 0..255 (channels first
        if so configured), labels int64 of shapes `(50000, 1)` and `(10000, 1)`.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) a file is damaged or is something else.
        FileNotFoundError: `path` lacks a file.
        ValueError: for another `label_mode`.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(
            f'[cifar100] label_mode must be "fine" or "coarse", received {label_mode!r}'
        )
    batches = (["train"], ["test"])
    return load_cifar("cifar100", FILE, path, download, batches, f"{label_mode}_labels")
