# SPDX-License-Identifier: Apache-2.0
"""Boston housing: 506 districts of the 1970s (D. Harrison, D. Rubinfeld 1978)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastnn.datasets._download import RemoteFile
from fastnn.datasets._npz import read_npz
from fastnn.datasets._sequences import find, shuffled

__all__ = ["load_data"]

FILE = RemoteFile(
    "boston_housing.npz",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/boston_housing.npz",
    "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
)

Split = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str | Path = "boston_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
    *,
    download: bool = True,
) -> tuple[Split, Split]:
    """Loads Boston housing, shuffled and split as Keras does.

    One of its columns, "B", is made from the share of black people, as if that were a
    cause of prices: use California housing unless that is your subject.

    Args:
        path: an .npz file with x and y. None, and the name "boston_housing.npz" when no
            such file is there: the cache, filled by a download when it is empty.
        test_split: share of the rows kept for the test part, 0 <= test_split < 1.
        seed: of the shuffle before the split; the same seed gives Keras's rows.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `x` float64 (rows, 13), `y` float64
        (rows,) in 1000 dollars.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) the file is damaged or is something else.
        ValueError: `test_split` is not allowed.
    """
    if not 0 <= test_split < 1:
        raise ValueError(
            f"[boston_housing] test_split={test_split}; expected 0 <= it < 1"
        )
    found = read_npz(find("boston_housing", FILE, path, download), ("x", "y"))
    x, y = shuffled(seed, *found)
    rows = int(len(x) * (1 - test_split))
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])
