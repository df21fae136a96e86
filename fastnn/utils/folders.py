# SPDX-License-Identifier: Apache-2.0
"""Files in folders, one per class: their paths, labels, and a part for validation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastnn._switches import show
from fastnn.utils.arrays import to_categorical
from fastnn.utils.py_dataset import PyDataset

_MODES = ("int", "binary", "categorical", None)
_SUBSETS = ("training", "validation", "both", None)


class Request(NamedTuple):
    """The arguments that the functions for images, texts and sounds have in common."""

    where: str
    directory: Any
    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    batch_size: int | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool
    formats: tuple[str, ...]


def request_of(where: str, formats: tuple[str, ...], given: dict[str, Any]) -> Request:
    """The request with these arguments of the function `where`."""
    given = {**given, "where": where, "formats": formats}
    return Request(**{name: given[name] for name in Request._fields})


class Files(NamedTuple):
    """Paths with their labels, None where there are no labels."""

    paths: list[str]
    labels: np.ndarray | None

    def part(self, places: slice) -> Files:
        """Some of them."""
        labels = None if self.labels is None else self.labels[places]
        return Files(self.paths[places], labels)


class FolderDataset(PyDataset):
    """Batches of what is in files, read when they are asked for.

    Attributes:
        class_names: names of the classes; None without labels.
        file_paths: paths of the files.
    """

    def __init__(
        self,
        files: Files,
        class_names: Any,
        request: Request,
        reader: Any,
        shuffle: bool,
    ) -> None:
        super().__init__()
        self.file_paths = files.paths
        self.class_names = class_names
        self._labels = files.labels
        self._reader = reader
        self._size = request.batch_size
        self._order = np.arange(len(files.paths))
        self._random = np.random.RandomState(request.seed) if shuffle else None

    def __len__(self) -> int:
        return -(-len(self._order) // (self._size or 1))

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(f"[{index}] is none of {len(self)} batches")
        if self._size is None:
            place: Any = self._order[index]
            x = self._reader.batch([self.file_paths[place]])[0]
        else:
            place = self._order[index * self._size : (index + 1) * self._size]
            x = self._reader.batch([self.file_paths[i] for i in place])
        return x if self._labels is None else (x, self._labels[place])

    def on_epoch_end(self) -> None:
        """Another order for the next epoch, where it is shuffled."""
        if self._random is not None:
            self._random.shuffle(self._order)


def datasets(request: Request, reader: Any) -> Any:
    """The data set that was asked for; a list of two for `subset="both"`.

    Args:
        request: the arguments.
        reader: has `batch(paths)`, which returns what is in the files.
    """
    request = _checked(request)
    files, names = _find(request)
    if request.label_mode == "binary" and len(names or ()) != 2:
        raise ValueError(
            f'[{request.where}] label_mode="binary" needs exactly 2 classes, found '
            f"{names}."
        )
    encoded = _encode(files.labels, request.label_mode, len(names or ()))
    files = files._replace(labels=encoded)
    wanted = (
        ["training", "validation"] if request.subset == "both" else [request.subset]
    )
    made = []
    for subset in wanted:
        part = _split(files, request, subset)
        if not part.paths:
            what = "files" if subset is None else f"files for {subset}"
            raise ValueError(
                f"[{request.where}] no {what} in {request.directory}: names must end "
                f"with one of {', '.join(request.formats)}."
            )
        shuffle = request.shuffle and not (len(wanted) == 2 and subset == "validation")
        made.append(FolderDataset(part, names, request, reader, shuffle))
    return made if request.subset == "both" else made[0]


# ---- arguments ---------------------------------------------------------------------


def _checked(request: Request) -> Request:
    where, labels, mode = request.where, request.labels, request.label_mode
    listed = labels is None or isinstance(labels, (list, tuple))
    if not listed and not (isinstance(labels, str) and labels == "inferred"):
        raise ValueError(
            f'[{where}] labels must be "inferred" (a folder per class), a list of '
            f"integers, one per file in the order of the names, or None for data "
            f"without labels; received {labels!r}."
        )
    if labels != "inferred" and request.class_names:
        raise ValueError(
            f'[{where}] class_names goes with labels="inferred" only, received labels='
            f"{labels!r}."
        )
    if mode not in _MODES:
        raise ValueError(
            f'[{where}] label_mode must be "int", "categorical", "binary" or None, '
            f"received {mode!r}."
        )
    if labels is None or mode is None:
        request = request._replace(labels=None, label_mode=None)
    size = request.batch_size
    if size is not None and (isinstance(size, bool) or int(size) != size or size < 1):
        raise ValueError(f"[{where}] batch_size must be 1 or more, received {size!r}.")
    _check_split(request)
    if request.seed is None:
        request = request._replace(seed=int(np.random.randint(1_000_000)))
    return request


def _check_split(request: Request) -> None:
    where, split, subset = request.where, request.validation_split, request.subset
    if split and not 0 < split < 1:
        raise ValueError(
            f"[{where}] validation_split must be between 0 and 1, received {split!r}."
        )
    if bool(split) != bool(subset):
        raise ValueError(
            f"[{where}] validation_split and subset go together: say which part you "
            f'want, subset="training", "validation" or "both"; received '
            f"validation_split={split!r}, subset={subset!r}."
        )
    if subset not in _SUBSETS:
        raise ValueError(
            f'[{where}] subset must be "training", "validation" or "both", received '
            f"{subset!r}."
        )
    if split and request.shuffle and request.seed is None:
        raise ValueError(
            f"[{where}] give a seed with validation_split and shuffle: with another "
            "order in each call the two parts would have files in common."
        )


# ---- files -------------------------------------------------------------------------


def _walk(folder: str, follow_links: bool, formats: tuple[str, ...]) -> list[str]:
    found = []
    for root, _, names in sorted(os.walk(folder, followlinks=follow_links)):
        found += [
            os.path.join(root, name)
            for name in sorted(names)
            if name.lower().endswith(formats)
        ]
    return found


def _find(request: Request) -> tuple[Files, list[str] | None]:
    """All files, shuffled if so wanted, and the names of the classes."""
    folder = os.fspath(request.directory)
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"[{request.where}] there is no folder {folder!r}.")
    labels, names = request.labels, None
    if labels == "inferred":
        paths, numbers, names = _find_classes(request, folder)
    else:
        paths = _walk(folder, request.follow_links, request.formats)
        numbers = None
        if labels is not None:
            if len(labels) != len(paths):
                raise ValueError(
                    f"[{request.where}] {len(labels)} labels for the {len(paths)} "
                    f"files in {folder}: there must be one per file."
                )
            numbers = np.asarray(labels, "int32")
            names = [str(label) for label in sorted(set(labels))]
    if request.verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        show(f"Found {len(paths)} files{classes}.")
    if request.shuffle:
        # Both with the seed, as Keras does: the same files in the same order.
        np.random.RandomState(request.seed).shuffle(paths)
        if numbers is not None:
            np.random.RandomState(request.seed).shuffle(numbers)
    return Files(paths, numbers), names


def _find_classes(
    request: Request, folder: str
) -> tuple[list[str], np.ndarray, list[str]]:
    names = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if request.class_names is not None:
        wanted = list(request.class_names)
        if not set(wanted) <= set(names):
            raise ValueError(
                f"[{request.where}] class_names must be names of folders in {folder}: "
                f"{names}; received {wanted}."
            )
        names = wanted
    paths: list[str] = []
    numbers: list[int] = []
    for number, name in enumerate(names):
        inside = os.path.join(folder, name)
        found = _walk(inside, request.follow_links, request.formats)
        paths += found
        numbers += [number] * len(found)
    return paths, np.array(numbers, "int32"), names


def _encode(labels: np.ndarray | None, mode: str | None, classes: int) -> Any:
    if labels is None or mode == "int":
        return labels
    if mode == "binary":
        return labels.astype("float32")[:, None]
    return to_categorical(labels, classes)


def _split(files: Files, request: Request, subset: str | None) -> Files:
    if not request.validation_split:
        return files
    count = int(request.validation_split * len(files.paths))
    rest = len(files.paths) - count
    if subset == "training":
        show(f"Using {rest} files for training.")
        return files.part(slice(0, rest))
    show(f"Using {count} files for validation.")
    return files.part(slice(rest, None))
