# SPDX-License-Identifier: Apache-2.0
"""California housing: 20,640 districts of the 1990 census (R. K. Pace, R. Barry)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets._csv import read_csv
from fastnn.datasets._download import RemoteFile, fetch
from fastnn.datasets._errors import DataFileError
from fastnn.datasets._npz import read_npz

__all__ = ["load_data"]

_TARGETS = ("MedHouseVal", "median_house_value")
_SMALL_ROWS = 600
FILE = RemoteFile(
    "california_housing.npz",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/california_housing.npz",
    "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
)

Array = NDArray[Any]
Split = tuple[Array, Array]


def load_data(
    version: str = "large",
    path: str | Path | None = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
    *,
    download: bool = True,
) -> tuple[Split, Split]:
    """Loads California housing, shuffled and split as Keras does.

    The published file has the columns longitude, latitude, housing_median_age,
    total_rooms, total_bedrooms, population, households, median_income and the target
    in dollars. scikit-learn's `fetch_california_housing` derives other columns from
    them (MedInc, HouseAge, AveRooms, AveBedrms, Population, AveOccup, Latitude,
    Longitude; target in 100,000 dollars); save those as csv to read them by `path`.

    For train, validation and test parts of 11610, 3870 and 5160 rows, take
    `test_split=0.25` and `model.fit(..., validation_split=0.25)`.

    Args:
        version: `"large"` (20,640 rows) or `"small"` (the first 600 of them).
        path: a csv file (plain or gzip) with a header and the target in a column
            `MedHouseVal` or `median_house_value`; columns of text are left out. Or an
            `.npz` file with `x` and `y`. `None`, and the name
            `"california_housing.npz"` when no such file is there: the cache, filled by
            a download of 0.7 MB when it is empty.
        test_split: fraction of the rows kept for the test part, 0 <= test_split < 1.
        seed: of the shuffle before the split; the same seed gives Keras's rows.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `x` of shape `(rows, 8)`, `y` of shape
        `(rows,)`, float64 from csv (missing values are NaN), else as stored.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) the file is damaged or is something else.
        ValueError: `version` or `test_split` is not allowed.
    """
    if not 0 <= test_split < 1:
        raise ValueError(
            f"[california_housing] test_split={test_split}; expected 0 <= it < 1"
        )
    if version not in ("small", "large"):
        raise ValueError(
            f"[california_housing] version={version!r}; expected 'small' or 'large'"
        )
    x, y = _read(path, download)
    if version == "small":
        x, y = x[:_SMALL_ROWS], y[:_SMALL_ROWS]
    # The old generator, because its stream is frozen: Keras's split, for ever.
    order = np.random.RandomState(seed).permutation(len(x))
    x, y = x[order], y[order]
    rows = int(len(x) * (1 - test_split))
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


def _read(path: str | Path | None, download: bool) -> Split:
    if path == FILE.name and not Path(path).exists():
        path = None
    if path is None:
        return _read_arrays(fetch("california_housing", FILE, download))
    path = Path(path).expanduser()
    with path.open("rb") as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
    return _read_arrays(path) if zipped else _read_table(path)


def _read_arrays(path: Path) -> Split:
    x, y = read_npz(path, ("x", "y"))
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise DataFileError(
            f"[california_housing] {path} has x {x.shape} and y {y.shape}; expected "
            "(rows, columns) and (rows,)."
        )
    return x, y


def _read_table(path: Path) -> Split:
    columns = read_csv(path)
    target = next((name for name in _TARGETS if name in columns), None)
    if target is None or columns[target].dtype.kind != "f":
        raise DataFileError(
            f"[california_housing] {path} has no numeric column "
            f"{' or '.join(_TARGETS)}; it has {', '.join(columns)}."
        )
    y = columns.pop(target)
    features = [column for column in columns.values() if column.dtype.kind == "f"]
    if not features:
        raise DataFileError(f"[california_housing] {path} has no numeric features.")
    return np.stack(features, axis=1), y.astype(np.float64, copy=False)
