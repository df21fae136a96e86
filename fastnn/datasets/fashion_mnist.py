# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: 70,000 pictures of clothing (H. Xiao, K. Rasul, R. Vollgraf 2017)."""

from __future__ import annotations

from pathlib import Path

from fastnn.datasets._download import RemoteFile
from fastnn.datasets._images import STEMS, Split, load_images

__all__ = ["CLASS_NAMES", "load_data"]

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
_SHA256 = (
    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
)
FILES = tuple(
    RemoteFile(f"{stem}-ubyte.gz", f"{_URL}/{stem}-ubyte.gz", sha256)
    for stem, sha256 in zip(STEMS, _SHA256, strict=True)
)


def load_data(
    path: str | Path | None = None, *, download: bool = True
) -> tuple[Split, Split]:
    """Loads Fashion-MNIST; `CLASS_NAMES[label]` names a class.

    Args:
        path: folder with the four IDX files (plain or gzip), or an `.npz` file with
            `x_train`, `y_train`, `x_test`, `y_test`; `None`: the cache, filled by a
            download of 31 MB when it is empty.
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
    return load_images("fashion_mnist", FILES, path, download)
