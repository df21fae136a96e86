# SPDX-License-Identifier: Apache-2.0
"""IMDB: 50,000 reviews of films, good or bad (A. Maas and others 2011)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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

__all__ = ["get_word_index", "load_data"]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets"
FILE = RemoteFile(
    "imdb.npz",
    f"{_URL}/imdb.npz",
    "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
)
WORDS = RemoteFile(
    "imdb_word_index.json",
    f"{_URL}/imdb_word_index.json",
    "bfafd718b763782e994055a2d397834f",
    "md5",  # as Keras publishes it
)

Split = tuple[np.ndarray, np.ndarray]


def load_data(
    path: str | Path = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    *,
    download: bool = True,
) -> tuple[Split, Split]:
    """Loads reviews as lists of numbers, by frequency of the words, as Keras does.

    0 is for padding; a word that is left out becomes `oov_char`. The numbers of
    `get_word_index()` are smaller by `index_from`.

    Args:
        path: an .npz file with x_train, y_train, x_test, y_test. None, and the name
            "imdb.npz" when no such file is there: the cache, filled by a download of
            17 MB when it is empty.
        num_words: words with numbers from here on are left out.
        skip_top: words with smaller numbers are left out.
        maxlen: only reviews that are shorter.
        seed: of the order; the same seed gives Keras's.
        start_char: first number of each review; None for none.
        oov_char: stands for words that are left out; None leaves no trace of them.
        index_from: added to the numbers of words.
        download: `False` forbids the network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: `x` object (25000,) of lists, `y` int64
        (25000,), 1 for good.

    Raises:
        DownloadError: (an `OSError`) no cached copy and no way to get one; the message
            says what to download and where to put it.
        DataFileError: (a `ValueError`) the file is damaged or is something else.
        ValueError: no review is shorter than `maxlen`.
    """
    names = ("x_train", "y_train", "x_test", "y_test")
    arrays = read_object_npz(find("imdb", FILE, path, download), names)
    parts = []
    for x, y in (arrays[:2], arrays[2:]):
        x, y = shuffled(seed, x, y)
        parts.append((with_start(x, start_char, index_from), y))
    return _finished(parts, maxlen, num_words, skip_top, oov_char)


def _finished(
    parts: list[Any],
    maxlen: int | None,
    num_words: int | None,
    skip_top: int,
    oov_char: int | None,
) -> tuple[Split, Split]:
    (a, y_train), (b, y_test) = (shorter_than("imdb", maxlen, *part) for part in parts)
    x = limited(a + b, num_words, skip_top, oov_char)
    return (x[: len(a)], y_train), (x[len(a) :], y_test)


def get_word_index(
    path: str | Path = "imdb_word_index.json", *, download: bool = True
) -> dict[str, int]:
    """word -> its rank by frequency, from 1 on; `load_data` adds `index_from`."""
    return word_index("imdb", WORDS, path, download)
