# SPDX-License-Identifier: Apache-2.0
"""MNIST: 70,000 handwritten digits (Y. LeCun, C. Cortes, C. J. C. Burges)."""

from __future__ import annotations

from pathlib import Path

from fastnn.datasets._download import RemoteFile
from fastnn.datasets._images import STEMS, Split, load_images

__all__ = ["load_data"]

_URL = "https://storage.googleapis.com/cvdf-datasets/mnist"
_SHA256 = (
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
FILES = tuple(
    RemoteFile(f"{stem}-ubyte.gz", f"{_URL}/{stem}-ubyte.gz", sha256)
    for stem, sha256 in zip(STEMS, _SHA256, strict=True)
)


def load_data(
    path: str | Path | None = "mnist.npz", *, download: bool = True
) -> tuple[Split, Split]:
    """Loads MNIST.

    Args:
        path: folder with the four IDX files (plain or gzip), or an `.npz` file with
            `x_train`, `y_train`, `x_test`, `y_test`. `None`, and the name
            `"mnist.npz"` when no such file is there: the cache, filled by a download of
            12 MB when it is empty.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: images uint8 of shapes
        `(60000, 28, 28)` and `(10000, 28, 28)` with grey values 0..255, labels uint8
        of shapes `(60000,)` and `(10000,)` with classes 0..9.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) a file is damaged or is something else.
        FileNotFoundError: `path` lacks a file.
    """
    if path == "mnist.npz" and not Path(path).exists():
        path = None
    return load_images("mnist", FILES, path, download)
