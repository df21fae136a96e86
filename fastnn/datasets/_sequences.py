# SPDX-License-Identifier: Apache-2.0
"""Texts as lists of the numbers of their words: what imdb and reuters share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.datasets._download import RemoteFile, fetch


def find(dataset: str, file: RemoteFile, path: Any, download: bool) -> Path:
    """The file: at `path`, or in the cache for None and the name Keras gives it."""
    if path is None or (path == file.name and not Path(path).exists()):
        return fetch(dataset, file, download)
    return Path(path).expanduser()


def word_index(
    dataset: str, file: RemoteFile, path: Any, download: bool
) -> dict[str, int]:
    """word -> its rank by frequency, from 1 on."""
    found: dict[str, int] = json.loads(
        find(dataset, file, path, download).read_text(encoding="utf-8")
    )
    return found


def shuffled(seed: int, *arrays: np.ndarray) -> list[np.ndarray]:
    """The arrays in one new order, Keras's."""
    # The old generator, because its stream is frozen.
    order = np.arange(len(arrays[0]))
    np.random.RandomState(seed).shuffle(order)
    return [array[order] for array in arrays]


def with_start(
    sequences: Any, start_char: int | None, index_from: int | None
) -> list[list[int]]:
    """Numbers moved up by `index_from`, after the mark of the start."""
    if start_char is not None:
        shift = index_from or 0
        return [[start_char, *(word + shift for word in x)] for x in sequences]
    if index_from:
        return [[word + index_from for word in x] for x in sequences]
    return [list(x) for x in sequences]


def shorter_than(
    name: str, maxlen: int | None, sequences: list[list[int]], labels: np.ndarray
) -> tuple[list[list[int]], np.ndarray]:
    """Those with fewer than `maxlen` numbers, the mark of the start counted."""
    if not maxlen:
        return sequences, labels
    kept = [i for i, x in enumerate(sequences) if len(x) < maxlen]
    if not kept:
        raise ValueError(
            f"[{name}] no sequence is shorter than maxlen={maxlen}: increase it."
        )
    return [sequences[i] for i in kept], labels[kept]


def limited(
    sequences: list[list[int]],
    num_words: int | None,
    skip_top: int,
    oov_char: int | None,
) -> np.ndarray:
    """object (count,): the lists without words that are too frequent or too rare."""
    most = num_words or max(max(x) for x in sequences)
    if oov_char is not None:
        kept = [[w if skip_top <= w < most else oov_char for w in x] for x in sequences]
    else:
        kept = [[w for w in x if skip_top <= w < most] for x in sequences]
    array = np.empty(len(kept), dtype=object)
    array[:] = kept
    return array
