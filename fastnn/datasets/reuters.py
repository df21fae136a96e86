# SPDX-License-Identifier: Apache-2.0
"""Reuters: 11,228 news of 1987 in 46 classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastnn.datasets._download import RemoteFile
from fastnn.datasets._pickles import read_object_npz
from fastnn.datasets._sequences import (
    find,
    limited,
    shorter_than,
    shuffled,
    with_start,
    word_index,
)

__all__ = ["get_label_names", "get_word_index", "load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
FILE = RemoteFile(
    "reuters.npz",
    f"{_URL}/reuters.npz",
    "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
)
WORDS = RemoteFile(
    "reuters_word_index.json",
    f"{_URL}/reuters_word_index.json",
    "4d44cc38712099c9e383dc6e5f11a921",
    "md5",  # as Keras publishes it
)
_LABELS = """cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar
    trade reserves ship cotton carcass crude nat-gas cpi money-fx interest gnp meal-feed
    alum oilseed gold tin strategic-metal livestock retail ipi iron-steel rubber heat
    jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"""

Split = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str | Path = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    *,
    download: bool = True,
) -> tuple[Split, Split]:
    """Loads news as lists of numbers, by frequency of the words, as Keras does.

    Args:
        path: an .npz file with x and y. None, and the name "reuters.npz" when no such
            file is there: the cache, filled by a download of 2 MB when it is empty.
        test_split: share of the news, the last ones, kept for the test part.
        num_words, skip_top, maxlen, seed, start_char, oov_char, index_from: see
            `fastnn.datasets.imdb.load_data`.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `x` object (8982,) and (2246,) of lists,
        `y` int64 classes, named by `get_label_names()`.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) the file is damaged or is something else.
        ValueError: no text is shorter than `maxlen`.
    """
    arrays = read_object_npz(find("reuters", FILE, path, download), ("x", "y"))
    x, y = shuffled(seed, *arrays)
    lists, y = shorter_than("reuters", maxlen, with_start(x, start_char, index_from), y)
    x = limited(lists, num_words, skip_top, oov_char)
    rows = int(len(x) * (1 - test_split))
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


def get_word_index(
    path: str | Path = "reuters_word_index.json", *, download: bool = True
) -> dict[str, int]:
    """word -> its rank by frequency, from 1 on; `load_data` adds `index_from`."""
    return word_index("reuters", WORDS, path, download)


def get_label_names() -> tuple[str, ...]:
    """Names of the 46 classes."""
    return tuple(_LABELS.split())
