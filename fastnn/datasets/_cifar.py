# SPDX-License-Identifier: Apache-2.0
"""What CIFAR-10 and CIFAR-100 share: pickled batches of images in a tar archive."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import config
from fastnn.datasets._download import RemoteFile, fetch
from fastnn.datasets._errors import DataFileError
from fastnn.datasets._pickles import read_pickle

Split = tuple[np.ndarray, np.ndarray]


def load_cifar(
    dataset: str,
    file: RemoteFile,
    path: str | Path | None,
    download: bool,
    batches: tuple[list[str], list[str]],
    labels: str,
) -> tuple[Split, Split]:
    """`(x_train, y_train), (x_test, y_test)` from the archive, or a folder of it.

    Args:
        batches: names of the files for training and for the test.
        labels: what the labels are called in them.
    """
    place = fetch(dataset, file, download) if path is None else Path(path).expanduser()
    names = [name for part in batches for name in part]
    found = _read_folder(place, names) if place.is_dir() else _read_tar(place, names)
    train, test = (_joined(place, [found[n] for n in part], labels) for part in batches)
    return train, test


def _read_folder(folder: Path, names: list[str]) -> dict[str, Any]:
    found = {}
    for name in names:
        paths = [p for p in (folder / name, *folder.glob(f"*/{name}")) if p.is_file()]
        if not paths:
            raise FileNotFoundError(
                f"[datasets] {folder} has no {name}; expected {', '.join(names)}."
            )
        with paths[0].open("rb") as stream:
            found[name] = read_pickle(paths[0], stream, "bytes")
    return found


def _read_tar(path: Path, names: list[str]) -> dict[str, Any]:
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                stream = archive.extractfile(member) if name in names else None
                if stream is not None:
                    found[name] = read_pickle(f"{path}: {member.name}", stream, "bytes")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataFileError(
            f"[datasets] {path} is no tar archive, or damaged: {error}"
        ) from error
    missing = [name for name in names if name not in found]
    if missing:
        raise DataFileError(f"[datasets] {path} lacks {', '.join(missing)}.")
    return found


def _joined(origin: Path, parts: list[Any], labels: str) -> Split:
    try:
        pixels = np.concatenate([part[b"data"] for part in parts])
        classes = np.concatenate([part[labels.encode()] for part in parts])
    except (KeyError, TypeError) as error:
        raise DataFileError(
            f"[datasets] {origin} has no {error} in its batches."
        ) from error
    images = np.asarray(pixels, "uint8").reshape(-1, 3, 32, 32)
    if config.image_data_format() == "channels_last":
        images = images.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), classes.reshape(-1, 1)
